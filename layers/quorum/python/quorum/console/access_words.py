"""Words of the pages of keys and webhooks, in English and Korean. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

ACCESS_WORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        # keys
        "key.prefix": ("Begins with", "앞자리"),
        "key.own": ("this session", "현재 세션"),
        "key.scopes": ("Scopes", "권한"),
        "key.limits": ("Limits", "한도"),
        "key.per_minute": ("{count} a minute", "분당 {count}건"),
        "key.per_month": ("{used} of {count} this month", "이번 달 {used} / {count}건"),
        "key.expires": ("Expires (UTC)", "만료 (UTC)"),
        "key.used": ("Last used (UTC)", "최근 사용 (UTC)"),
        "key.change": ("Replace or revoke", "교체 또는 폐기"),
        "key.overlap": ("The old key ends", "기존 키 종료"),
        "key.at_once": ("at once", "즉시"),
        "key.hours": ("after {count} h", "{count}시간 후"),
        "key.rotate": ("Replace", "교체"),
        "key.revoke": ("Revoke", "폐기"),
        "key.revoke_lead": (
            "The next request with this key is refused.",
            "이 키로 보내는 다음 요청부터 거부됩니다.",
        ),
        "key.new": ("New key", "새 키"),
        "key.issue": ("Issue", "발급"),
        "key.issued": (
            "Copy the key of {name} now. It is not shown again.",
            "지금 키를 복사하세요. 다시 표시되지 않습니다. 이름: {name}",
        ),
        "key.expires_on": ("Last day (UTC)", "마지막 날 (UTC)"),
        "key.minute_limit": ("Requests a minute", "분당 요청"),
        "key.month_limit": ("Requests a month", "월간 요청"),
        "key.origin": ("Website that may send it", "사용할 수 있는 웹사이트"),
        "key.flagged": (
            "OpenAI clients see what needs a review as flagged",
            "OpenAI 클라이언트에 검토 필요 항목을 flagged로 표시",
        ),
        "key.dropped": (
            "Perspective clients get the attributes there are, and no error for the others",
            "Perspective 클라이언트에 지원되는 속성만 반환하고 나머지는 오류로 처리하지 않음",
        ),
        "scope.moderate": ("judge single texts", "글 한 건씩 판정"),
        "scope.batch": ("batches of texts", "글 일괄 처리"),
        "scope.chat": ("chat and completions", "채팅과 답변"),
        "scope.documents": ("documents", "문서"),
        "scope.review": ("decide what waits, sign in here", "대기 항목 판정, 콘솔 로그인"),
        "scope.operate": (
            "policies, keys, costs, audit, sign in here",
            "정책·키·비용·감사, 콘솔 로그인",
        ),
        # webhooks
        "webhooks.lead": (
            "Webhooks are put, and their secrets replaced, over the API. Tests, and events that were not taken, are sent from here.",
            "등록과 시크릿 교체는 API로 합니다. 여기에서는 테스트와 재전송을 할 수 있습니다.",
        ),
        "webhooks.to": ("Leads to", "받는 주소"),
        "webhooks.events": ("Events", "이벤트"),
        "webhooks.last": ("Last delivery (UTC)", "최근 전송 (UTC)"),
        "webhooks.dead": ("Not taken", "전송 실패"),
        "webhooks.off": ("off", "꺼짐"),
        "webhooks.taken": ("Taken", "전송됨"),
        "webhooks.tries": ("{count} tries", "{count}회 시도"),
        "webhooks.old_secret": (
            "The secret before signs until {time} UTC",
            "이전 시크릿은 {time} UTC까지 서명에 쓰입니다",
        ),
        "webhooks.test": ("Send a test", "테스트 보내기"),
        "webhooks.test_lead": (
            "A signed event of type webhook.test is sent to this webhook alone. What became of it appears above.",
            "서명된 webhook.test 이벤트를 이 웹훅에만 보냅니다. 결과는 위 표에 표시됩니다.",
        ),
        "webhooks.tested": ("A test is on its way to {name}.", "테스트를 보내고 있습니다: {name}"),
        "webhooks.redrive": ("Send what was not taken again", "실패한 이벤트 다시 보내기"),
        "webhooks.redrive_lead": (
            "The oldest, up to {most} at once.",
            "오래된 것부터 한 번에 최대 {most}건입니다.",
        ),
        "webhooks.redriven": (
            "On their way to {name} again: {count}",
            "이벤트 {count}건을 다시 보내고 있습니다: {name}",
        ),
        "webhooks.empty": ("No webhooks", "웹훅이 없습니다"),
        "webhooks.empty_lead": (
            "PUT /webhooks/NAME has events sent to an address of yours.",
            "PUT /webhooks/NAME 으로 등록하면 이벤트를 받을 수 있습니다.",
        ),
        "failure.status": ("Refused", "거부됨"),
        "failure.redirect": ("Redirects, which is not followed", "리디렉션(따라가지 않음)"),
        "failure.gone": ("Gone", "수신 종료"),
        "failure.timed_out": ("Timed out", "시간 초과"),
        "failure.unreachable": ("Unreachable", "연결 실패"),
        "failure.host_unknown": ("Unknown host", "알 수 없는 호스트"),
        "failure.address_not_public": ("Not a public address", "공개 주소가 아님"),
    }
)
"""Key → the text in English and in Korean."""
