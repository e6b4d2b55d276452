"""Words for the actions and facts of the audit trail, in English and Korean. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

TRAIL: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "action.review.claimed": ("Content claimed", "검토 항목 담당"),
        "action.review.released": ("Content given back", "담당 해제"),
        "action.review.skipped": ("Content skipped", "검토 건너뜀"),
        "action.review.escalated": ("Content escalated", "상위 검토 요청"),
        "action.review.decided": ("Content decided", "검토 판정"),
        "action.review.undone": ("Decision undone", "판정 되돌림"),
        "action.appeal.made": ("Appeal made", "이의신청 접수"),
        "action.appeal.decided": ("Appeal decided", "이의신청 판정"),
        "action.policy.put": ("Policy put in force", "정책 적용"),
        "action.policy.deleted": ("Policy deleted", "정책 삭제"),
        "action.policy_shadow.put": ("Shadow of a policy put", "섀도 정책 적용"),
        "action.policy_shadow.removed": ("Shadow of a policy removed", "섀도 정책 해제"),
        "action.panel.put": ("Panel put in force", "패널 적용"),
        "action.panel.deleted": ("Panel deleted", "패널 삭제"),
        "action.panel_shadow.put": ("Shadow of a panel put", "섀도 패널 적용"),
        "action.proposal.made": ("Recalibration proposed", "재보정 제안"),
        "action.proposal.withdrawn": ("Proposal withdrawn", "제안 철회"),
        "action.model.put": ("Model put", "모델 등록"),
        "action.model.deleted": ("Model deleted", "모델 삭제"),
        "action.key.issued": ("Key issued", "키 발급"),
        "action.key.changed": ("Key changed", "키 변경"),
        "action.key.revoked": ("Key revoked", "키 폐기"),
        "action.webhook.put": ("Webhook put", "웹훅 등록·변경"),
        "action.webhook.rotated": ("Webhook secret replaced", "웹훅 시크릿 교체"),
        "action.webhook.tested": ("Webhook tested", "웹훅 테스트"),
        "action.webhook.redriven": ("Webhook events sent again", "웹훅 이벤트 재전송"),
        "action.webhook.deleted": ("Webhook deleted", "웹훅 삭제"),
        "action.event_rule.put": ("Rule of events put", "이벤트 규칙 적용"),
        "fact.version": ("version", "버전"),
        "fact.decision": ("decision", "판정"),
        "fact.categories": ("categories", "위반 유형"),
        "fact.reviewer": ("reviewer", "검토자"),
        "fact.until": ("until", "담당 기한"),
        "fact.reason": ("reason", "사유"),
        "fact.origin": ("why it waits", "대기 사유"),
        "fact.id": ("ID", "ID"),
        "fact.name": ("name", "이름"),
        "fact.scopes": ("scopes", "권한"),
        "fact.expires_at": ("expires", "만료"),
        "fact.panel": ("panel", "패널"),
        "fact.url": ("URL", "URL"),
        "fact.types": ("events", "이벤트"),
        "fact.enabled": ("enabled", "사용"),
        "fact.verdicts": ("rule", "규칙"),
    }
)
"""`action.` and an action, or `fact.` and the name of a fact → the text in both languages."""
