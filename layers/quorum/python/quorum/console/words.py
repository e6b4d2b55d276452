"""The words of the console, in English and Korean. Pure.

Placeholders are named in braces. Korean has no particle directly after one, because the right
particle depends on what stands there.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

WORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        # the frame
        "skip": ("Skip to the content", "본문으로 건너뛰기"),
        "pages": ("Pages", "메뉴"),
        "page.review": ("Review", "검토"),
        "page.try": ("Try", "판정 테스트"),
        "page.verdicts": ("Verdicts", "판정 내역"),
        "page.batches": ("Batches", "일괄 처리"),
        "page.policies": ("Policies", "운영정책"),
        "page.panels": ("Panels & models", "패널·모델"),
        "page.costs": ("Costs", "비용"),
        "page.keys": ("API keys", "API 키"),
        "page.audit": ("Audit", "감사 로그"),
        "language": ("Language", "언어"),
        "theme": ("Theme", "화면 테마"),
        "theme.auto": ("System", "시스템"),
        "theme.light": ("Light", "밝게"),
        "theme.dark": ("Dark", "어둡게"),
        "apply": ("Apply", "적용"),
        "display": ("Display", "화면 설정"),
        "shortcuts": ("Keyboard shortcuts", "단축키 안내"),
        "close": ("Close", "닫기"),
        "sign_out": ("Sign out", "로그아웃"),
        "sign_out_everywhere": ("Sign out everywhere", "모든 기기에서 로그아웃"),
        "signed_in_as": ("Signed in as {name}", "로그인: {name}"),
        "as_of": ("As of {time} UTC", "{time} UTC 기준"),
        "next_page": ("Next page", "다음 페이지"),
        "filter": ("Filter", "필터"),
        "any": ("Any", "전체"),
        "search": ("Show", "조회"),
        "reset": ("Reset", "초기화"),
        "yes": ("Yes", "예"),
        "no": ("No", "아니요"),
        "none": ("none", "없음"),
        "total": ("Total", "합계"),
        "back": ("Back", "돌아가기"),
        # signing in
        "sign_in": ("Sign in", "로그인"),
        "sign_in.lead": (
            "Use an API key with the scope review or operate. Its name is the reviewer's name in the record.",
            "review 또는 operate 권한이 있는 API 키로 로그인하세요. 키 이름이 검토자 이름으로 기록됩니다.",
        ),
        "sign_in.key": ("API key", "API 키"),
        "sign_in.refused": (
            "This key is unknown, revoked or expired, or has neither of the scopes.",
            "알 수 없거나 폐기·만료된 키이거나 필요한 권한이 없습니다.",
        ),
        "sign_in.ended": (
            "Signed out. Sign in again.",
            "로그인이 만료되었습니다. 다시 로그인해 주세요.",
        ),
        # errors
        "problem.title": ("That did not work", "요청을 처리하지 못했습니다"),
        "problem.forbidden": ("No permission", "접근 권한이 없습니다"),
        "problem.forbidden_lead": (
            "This page needs a key with the scope {scopes}.",
            "이 페이지에는 다음 권한이 있는 키가 필요합니다: {scopes}",
        ),
        "problem.missing": ("There is nothing at this address", "페이지를 찾을 수 없습니다"),
        "problem.failed": (
            "Something went wrong. Try again in a moment.",
            "일시적인 오류입니다. 잠시 후 다시 시도해 주세요.",
        ),
        "problem.form": (
            "The form is out of date or came from another page. Load the page again.",
            "양식이 만료되었거나 다른 페이지에서 보낸 요청입니다. 페이지를 새로 고쳐 주세요.",
        ),
        "problem.request": ("Request", "요청 번호"),
        # review
        "review.waiting": ("Waiting", "대기 중"),
        "review.claimed": ("Held by reviewers", "검토자 담당 중"),
        "review.oldest": ("Oldest waiting", "최장 대기"),
        "review.decided": ("Decided by you", "내 처리 건수"),
        "review.decided_unit": ("{count} in this session", "이번 세션 {count}건"),
        "review.start": ("Start reviewing", "검토 시작"),
        "review.order": ("Order", "순서"),
        "order.severest": ("Most severe first", "심각한 순"),
        "order.oldest": ("Oldest first", "오래된 순"),
        "review.nothing": ("Nothing to review", "검토할 항목이 없습니다"),
        "review.nothing_lead": (
            "Texts that no panel decides appear here, and so do appeals.",
            "패널이 판정하지 못한 글과 이의신청이 이곳에 표시됩니다.",
        ),
        "review.held": ("All held by other reviewers", "남은 항목은 다른 검토자가 확인 중입니다"),
        "review.held_lead": (
            "The first is free at {time} UTC.",
            "{time} UTC부터 담당할 수 있습니다.",
        ),
        "review.excluded": (
            "What is left has to be decided by somebody else",
            "남은 항목은 다른 검토자가 판정해야 합니다",
        ),
        "review.excluded_lead": (
            "You skipped it, passed it on, or decided it before.",
            "이미 건너뛰었거나 상위 검토를 요청했거나 앞서 판정한 항목입니다.",
        ),
        "review.queue": ("Queue", "검토 대기열"),
        "review.since": ("Waiting since", "대기 시작"),
        "review.count": ("Times", "건수"),
        "review.holder": ("Held by", "담당"),
        "review.mine": ("Me", "나"),
        "review.open": ("Take this item", "담당하기"),
        "item.title": ("Item", "검토 항목"),
        "item.hidden": (
            "Hidden: may be disturbing",
            "불쾌할 수 있어 가려 둔 내용입니다",
        ),
        "item.characters": ("{count} characters", "{count}자"),
        "item.show": ("Show text", "내용 보기"),
        "item.hide": ("Hide text", "내용 가리기"),
        "item.expired": (
            "The text is no longer kept.",
            "원문 보관 기간이 지났습니다.",
        ),
        "item.context": ("Context", "앞뒤 맥락"),
        "item.parent": ("In reply to", "답글 대상"),
        "item.messages": ("Earlier messages", "이전 메시지"),
        "item.appeal": ("The author's words", "작성자의 이의신청"),
        "item.escalations": ("Passed on", "상위 검토 요청"),
        "item.policy": ("Policy applied", "적용 정책"),
        "item.suspected": ("Suspected", "의심 유형"),
        "item.lease": ("Held by you until {time} UTC", "{time} UTC까지 내 담당"),
        "item.lease_soon": (
            "Your hold ends soon. It is extended while you work.",
            "담당 시간이 곧 끝납니다. 작업하면 자동으로 연장됩니다.",
        ),
        "item.decision": ("Decision", "판정"),
        "item.categories": ("Categories", "위반 유형"),
        "item.note": ("Internal note", "내부 메모"),
        "item.submit": ("Submit & next", "제출하고 다음"),
        "item.escalate": ("Escalate", "상위 검토 요청"),
        "item.skip": ("Skip", "건너뛰기"),
        "item.skip_reason": ("Reason", "건너뛰는 이유"),
        "item.release": ("Stop and give back", "담당 해제"),
        "skip.language": ("Language", "언어"),
        "skip.too_disturbing": ("Too disturbing for me", "보기 힘든 내용"),
        "skip.needs_context": ("Needs context", "맥락 부족"),
        "skip.conflict_of_interest": ("Conflict of interest", "이해 충돌"),
        "skip.other": ("Other", "기타"),
        "item.undo": ("Undo", "되돌리기"),
        "item.done": ("Decided: {decision}", "판정 완료: {decision}"),
        "item.choose": ("Choose safe or unsafe first.", "안전 또는 위험을 먼저 선택하세요."),
        "item.lost": ("Already decided by someone", "다른 검토자가 이미 판정했습니다"),
        "item.expired_hold": ("Your hold expired", "담당 시간이 만료되었습니다"),
        "item.taken": ("Held by another reviewer", "다른 검토자가 담당 중입니다"),
        "item.excluded": ("Somebody else has to decide this", "다른 검토자가 판정해야 합니다"),
        "item.undo_late": ("Too late to undo", "되돌릴 수 있는 시간이 지났습니다"),
        "item.next": ("Next item", "다음 항목"),
        "pace": ("{count} decided in {minutes} min", "{minutes}분 동안 {count}건 처리"),
        "break.title": (
            "You have reviewed for {minutes} min. Take a break.",
            "{minutes}분째 검토 중입니다. 잠시 쉬어 가세요.",
        ),
        "break.take": ("Take a break", "잠시 쉬기"),
        # decisions and what else verdicts say
        "decision": ("Verdict", "판정"),
        "decision.safe": ("Safe", "안전"),
        "decision.unsafe": ("Unsafe", "위험"),
        "decision.needs_review": ("Needs review", "검토 필요"),
        "severity": ("Severity", "심각도"),
        "severity.critical": ("Critical", "매우 높음"),
        "severity.high": ("High", "높음"),
        "severity.medium": ("Medium", "보통"),
        "severity.low": ("Low", "낮음"),
        "origin": ("Why it waits", "대기 사유"),
        "origin.undecided": ("Undecided", "판정 보류"),
        "origin.escalated": ("Escalated", "상위 검토 요청"),
        "origin.appeal": ("Appeal", "이의신청"),
        "category": ("Category", "위반 유형"),
        "category.harassment": ("Harassment", "괴롭힘"),
        "category.harassment/threatening": ("Harassment, threatening", "협박성 괴롭힘"),
        "category.hate": ("Hate", "혐오"),
        "category.hate/threatening": ("Hate, threatening", "협박성 혐오"),
        "category.illicit": ("Illicit", "불법 행위"),
        "category.illicit/violent": ("Illicit, violent", "폭력적 불법 행위"),
        "category.self-harm": ("Self-harm", "자해"),
        "category.self-harm/intent": ("Self-harm, intent", "자해 의도"),
        "category.self-harm/instructions": ("Self-harm, instructions", "자해 방법"),
        "category.sexual": ("Sexual", "성적 내용"),
        "category.sexual/minors": ("Sexual, minors", "미성년자 성적 내용"),
        "category.violence": ("Violence", "폭력"),
        "category.violence/graphic": ("Violence, graphic", "잔혹한 폭력"),
        "policy": ("Policy", "운영정책"),
        "panel": ("Panel", "패널"),
        "score": ("Score", "점수"),
        "confidence": ("Confidence", "확신도"),
        "cost": ("Cost", "비용"),
        "when": ("Time (UTC)", "시각 (UTC)"),
        "unknown": ("unknown", "알 수 없음"),
        # verdicts
        "verdicts.from": ("From", "시작일"),
        "verdicts.to": ("To", "종료일"),
        "verdicts.empty": ("No verdicts match", "조건에 맞는 판정이 없습니다"),
        "verdicts.empty_lead": (
            "Widen the days or reset the filter.",
            "기간을 넓히거나 필터를 초기화하세요.",
        ),
        "verdict.title": ("Verdict", "판정"),
        "verdict.why": ("Why it stopped", "종료 사유"),
        "verdict.votes": ("Votes", "투표"),
        "verdict.voter": ("Voter (model)", "투표 모델"),
        "verdict.vote": ("Vote", "투표"),
        "verdict.abstained": ("Abstained", "기권"),
        "verdict.latency": ("Response time", "응답 시간"),
        "verdict.cached": ("cached", "캐시"),
        "verdict.reason": ("Reason", "사유"),
        "verdict.source": ("Decided by", "판정 주체"),
        "source.panel": ("Panel", "패널"),
        "source.cache": ("Earlier votes", "이전 투표"),
        "source.review": ("Review", "검토자"),
        "source.list": ("List", "목록"),
        "verdict.rounds": ("Rounds", "라운드"),
        "verdict.calls": ("Voters asked", "호출한 투표 모델"),
        "verdict.saved": ("Saved by earlier votes", "캐시로 절감"),
        "verdict.review": ("Reviewer's decision", "검토자 판정"),
        "verdict.appeal": ("Appeal", "이의신청"),
        "appeal.open": ("Open", "진행 중"),
        "appeal.upheld": ("Upheld", "원판정 유지"),
        "appeal.overturned": ("Overturned", "판정 번복"),
        "verdict.history": ("History", "이력"),
        "verdict.older_history": ("Look further back", "이전 이력 보기"),
        "verdict.no_history": ("Nobody has changed it.", "변경 이력이 없습니다."),
        "verdict.metadata": ("Metadata", "메타데이터"),
        "verdict.open": ("Open {id}", "{id} 열기"),
        # try
        "try.text": ("Text", "글"),
        "try.text_lead": (
            "Judged as a request of your application would be: it costs the same and is listed under Verdicts.",
            "애플리케이션 요청과 똑같이 판정됩니다. 비용이 발생하고 판정 내역에 남습니다.",
        ),
        "try.run": ("Judge", "판정하기"),
        "try.default": ("Default", "기본값"),
        "try.curl": ("As curl", "curl 명령"),
        "try.result": ("Result", "결과"),
        # costs
        "costs.empty": ("No usage in these days", "해당 기간의 사용량이 없습니다"),
        "costs.empty_lead": (
            "Costs appear with the first verdict.",
            "첫 판정부터 비용이 표시됩니다.",
        ),
        "costs.requests": ("Verdicts", "판정"),
        "costs.per": ("Cost per verdict", "판정당 비용"),
        "costs.hits": ("From earlier votes", "캐시 적중률"),
        "costs.day": ("By day", "일별"),
        "costs.model": ("By model", "모델별"),
        "costs.calls": ("Calls", "호출"),
        "costs.tokens": ("Tokens in / out", "입력 / 출력 토큰"),
        "costs.possibly": ("Possibly paid on top", "추가 청구 가능액"),
        "costs.won": ("In won", "원화"),
        "costs.day_name": ("Day", "날짜"),
        "costs.model_name": ("Model", "모델"),
        # audit
        "audit.action": ("Action", "작업"),
        "audit.by": ("Key", "키"),
        "audit.person": ("Person", "담당자"),
        "audit.subject": ("Subject", "대상"),
        "audit.before": ("Before", "변경 전"),
        "audit.after": ("After", "변경 후"),
        "audit.empty": ("No entries match", "조건에 맞는 기록이 없습니다"),
        "audit.empty_lead": (
            "Changes are recorded here as they happen.",
            "변경이 생기면 이곳에 기록됩니다.",
        ),
        # shortcuts
        "keys.help": ("This help", "단축키 안내"),
        "keys.next": ("Next row", "다음 행"),
        "keys.previous": ("Previous row", "이전 행"),
        "keys.submit": ("Submit & next", "제출하고 다음"),
        "keys.reveal": ("Show or hide the text", "내용 보기·가리기"),
        "keys.note_submit": ("Submit from the note", "메모에서 제출"),
        "keys.category": ("First to ninth category", "첫째~아홉째 유형"),
        "keys.lead": (
            "Keys work while no field is focused. Ctrl, Alt and ⌘ stay the browser's.",
            "입력란에 있지 않을 때 동작합니다. Ctrl·Alt·⌘ 조합은 브라우저가 사용합니다.",
        ),
    }
)
"""Key → the text in English and in Korean."""


def text_of(language: Language, key: str, **values: object) -> str:
    """The text under `key`, with its placeholders filled in; raises `KeyError` if there is none."""
    template = WORDS[key][LANGUAGES.index(language)]
    return template.format(**values) if values else template


def preferred(accepted: str) -> Language:
    """The language of a browser's `Accept-Language`: Korean if it comes before English."""
    for part in accepted.lower().split(","):
        code = part.split(";")[0].strip()[:2]
        if code in LANGUAGES:
            return "ko" if code == "ko" else "en"
    return "en"
