"""The sentences of statements of reasons, in the languages they can be given in. Pure."""

from typing import Literal, NamedTuple

StatementLanguage = Literal["en", "ko", "de", "es", "fr"]
"""The languages of statements, as ISO 639 writes them."""
Measure = Literal[
    "removed", "disabled", "demoted", "age_restricted", "interaction_restricted", "labelled"
]
"""What was done to the content."""
Source = Literal["voluntary", "article_16", "trusted_flagger", "other_notification"]
"""What led to the decision: the platform itself, or somebody's notice."""


class Sentences(NamedTuple):
    """The sentences of one language. Those in braces are filled in."""

    title: str
    measures: dict[Measure, str]
    territory: str
    sources: dict[Source, str]
    facts: str
    no_categories: str
    detected: str
    automated: str
    by_list: str
    by_person: str
    ground: str
    redress: str
    categories: dict[str, str]


SENTENCES: dict[StatementLanguage, Sentences] = {
    "en": Sentences(
        title="Statement of reasons",
        measures={
            "removed": "Your content was removed.",
            "disabled": "Access to your content was disabled.",
            "demoted": "Your content is shown less often.",
            "age_restricted": "Your content is shown to adults only.",
            "interaction_restricted": "Others can no longer interact with your content.",
            "labelled": "Your content was given a label.",
        },
        territory="This applies in: {territory}.",
        sources={
            "voluntary": "The content was assessed on our own initiative.",
            "article_16": "The content was assessed because of a notice.",
            "trusted_flagger": "The content was assessed because of a notice by a trusted flagger.",
            "other_notification": "The content was assessed because of a report.",
        },
        facts="On {date} it was found to contain: {categories}.",
        no_categories="content that our rules do not allow",
        detected="Automated means were used to detect the content.",
        automated="The decision was made by automated means: {votes} classifiers judged the text.",
        by_list="The decision was made by automated means: the text matches an entry of a list.",
        by_person="A person made the decision.",
        ground="The decision is based on our rules (policy {policy}, version {version}), which do not allow this.",
        redress=(
            "You can appeal to us free of charge within six months. Somebody who did not make this"
            " decision will decide about your appeal. You can also turn to a certified"
            " out-of-court dispute settlement body, or to a court."
        ),
        categories={
            "harassment": "harassment",
            "harassment/threatening": "harassment with threats",
            "hate": "hate",
            "hate/threatening": "hate with threats",
            "illicit": "advice on illicit acts",
            "illicit/violent": "advice on violent illicit acts",
            "self-harm": "self-harm",
            "self-harm/intent": "an intent to self-harm",
            "self-harm/instructions": "instructions for self-harm",
            "sexual": "sexual content",
            "sexual/minors": "sexual content about minors",
            "violence": "violence",
            "violence/graphic": "graphic violence",
        },
    ),
    "ko": Sentences(
        title="조치 사유 안내",
        measures={
            "removed": "회원님의 게시물이 삭제되었습니다.",
            "disabled": "회원님의 게시물에 대한 접근이 차단되었습니다.",
            "demoted": "회원님의 게시물 노출이 줄어듭니다.",
            "age_restricted": "회원님의 게시물은 성인에게만 표시됩니다.",
            "interaction_restricted": "다른 이용자가 회원님의 게시물에 반응하거나 댓글을 남길 수 없습니다.",
            "labelled": "회원님의 게시물에 안내 문구가 표시됩니다.",
        },
        territory="적용 지역: {territory}.",
        sources={
            "voluntary": "이 게시물은 당사가 자체적으로 검토했습니다.",
            "article_16": "이 게시물은 신고를 받아 검토했습니다.",
            "trusted_flagger": "이 게시물은 신뢰할 수 있는 신고자의 신고를 받아 검토했습니다.",
            "other_notification": "이 게시물은 제보를 받아 검토했습니다.",
        },
        facts="{date} 검토 결과 다음 내용이 확인되었습니다: {categories}.",
        no_categories="운영정책에서 허용하지 않는 내용",
        detected="게시물을 찾아내는 데 자동화된 수단을 사용했습니다.",
        automated="이 결정은 자동화된 수단으로 내려졌습니다. 분류 모델 {votes}개가 글을 판정했습니다.",
        by_list="이 결정은 자동화된 수단으로 내려졌습니다. 글이 금지 목록의 항목과 일치합니다.",
        by_person="이 결정은 사람이 내렸습니다.",
        ground="이 결정은 당사의 운영정책(정책 {policy}, 버전 {version})에 따른 것이며, 해당 내용은 허용되지 않습니다.",
        redress=(
            "결정에 동의하지 않으시면 6개월 이내에 무료로 이의신청을 하실 수 있습니다. 이의신청은 이 결정에"
            " 관여하지 않은 사람이 심사합니다. 공인된 재판 외 분쟁 해결 기구나 법원에 구제를 요청하실 수도 있습니다."
        ),
        categories={
            "harassment": "괴롭힘",
            "harassment/threatening": "위협을 동반한 괴롭힘",
            "hate": "혐오 표현",
            "hate/threatening": "위협을 동반한 혐오 표현",
            "illicit": "불법 행위에 대한 조언",
            "illicit/violent": "폭력적 불법 행위에 대한 조언",
            "self-harm": "자해",
            "self-harm/intent": "자해 의도",
            "self-harm/instructions": "자해 방법 안내",
            "sexual": "성적인 내용",
            "sexual/minors": "미성년자에 대한 성적인 내용",
            "violence": "폭력",
            "violence/graphic": "잔혹한 폭력 묘사",
        },
    ),
    "de": Sentences(
        title="Begründung der Entscheidung",
        measures={
            "removed": "Ihr Inhalt wurde entfernt.",
            "disabled": "Der Zugang zu Ihrem Inhalt wurde gesperrt.",
            "demoted": "Ihr Inhalt wird seltener angezeigt.",
            "age_restricted": "Ihr Inhalt wird nur Erwachsenen angezeigt.",
            "interaction_restricted": "Andere können mit Ihrem Inhalt nicht mehr interagieren.",
            "labelled": "Ihr Inhalt wurde mit einem Hinweis versehen.",
        },
        territory="Dies gilt in: {territory}.",
        sources={
            "voluntary": "Der Inhalt wurde auf unsere eigene Veranlassung geprüft.",
            "article_16": "Der Inhalt wurde aufgrund einer Meldung geprüft.",
            "trusted_flagger": (
                "Der Inhalt wurde aufgrund der Meldung eines vertrauenswürdigen Hinweisgebers geprüft."
            ),
            "other_notification": "Der Inhalt wurde aufgrund eines Hinweises geprüft.",
        },
        facts="Am {date} wurde darin festgestellt: {categories}.",
        no_categories="Inhalte, die unsere Regeln nicht erlauben",
        detected="Der Inhalt wurde mit automatisierten Mitteln erkannt.",
        automated=(
            "Die Entscheidung wurde mit automatisierten Mitteln getroffen: {votes} Klassifikatoren"
            " haben den Text beurteilt."
        ),
        by_list=(
            "Die Entscheidung wurde mit automatisierten Mitteln getroffen: Der Text entspricht"
            " einem Eintrag einer Liste."
        ),
        by_person="Die Entscheidung hat ein Mensch getroffen.",
        ground="Die Entscheidung beruht auf unseren Regeln (Richtlinie {policy}, Version {version}), die dies nicht erlauben.",
        redress=(
            "Sie können innerhalb von sechs Monaten kostenlos bei uns Beschwerde einlegen. Darüber"
            " entscheidet jemand, der diese Entscheidung nicht getroffen hat. Sie können sich auch"
            " an eine zugelassene Stelle zur außergerichtlichen Streitbeilegung oder an ein Gericht"
            " wenden."
        ),
        categories={
            "harassment": "Belästigung",
            "harassment/threatening": "Belästigung mit Drohungen",
            "hate": "Hass",
            "hate/threatening": "Hass mit Drohungen",
            "illicit": "Anleitung zu rechtswidrigen Handlungen",
            "illicit/violent": "Anleitung zu rechtswidrigen Gewalttaten",
            "self-harm": "Selbstverletzung",
            "self-harm/intent": "Absicht zur Selbstverletzung",
            "self-harm/instructions": "Anleitung zur Selbstverletzung",
            "sexual": "sexuelle Inhalte",
            "sexual/minors": "sexuelle Inhalte über Minderjährige",
            "violence": "Gewalt",
            "violence/graphic": "drastische Gewaltdarstellung",
        },
    ),
    "es": Sentences(
        title="Declaración de motivos",
        measures={
            "removed": "Su contenido ha sido retirado.",
            "disabled": "Se ha bloqueado el acceso a su contenido.",
            "demoted": "Su contenido se muestra con menos frecuencia.",
            "age_restricted": "Su contenido solo se muestra a personas adultas.",
            "interaction_restricted": "Otras personas ya no pueden interactuar con su contenido.",
            "labelled": "Su contenido lleva ahora un aviso.",
        },
        territory="Esto se aplica en: {territory}.",
        sources={
            "voluntary": "El contenido se examinó por iniciativa propia.",
            "article_16": "El contenido se examinó a raíz de una notificación.",
            "trusted_flagger": (
                "El contenido se examinó a raíz de la notificación de un alertador fiable."
            ),
            "other_notification": "El contenido se examinó a raíz de un aviso.",
        },
        facts="El {date} se constató que contiene: {categories}.",
        no_categories="contenido que nuestras normas no permiten",
        detected="El contenido se detectó por medios automatizados.",
        automated=(
            "La decisión se tomó por medios automatizados: {votes} clasificadores evaluaron el texto."
        ),
        by_list=(
            "La decisión se tomó por medios automatizados: el texto coincide con una entrada de una"
            " lista."
        ),
        by_person="La decisión la tomó una persona.",
        ground="La decisión se basa en nuestras normas (política {policy}, versión {version}), que no lo permiten.",
        redress=(
            "Puede presentarnos una reclamación gratuita en un plazo de seis meses. La resolverá"
            " alguien que no tomó esta decisión. También puede acudir a un órgano certificado de"
            " resolución extrajudicial de litigios o a los tribunales."
        ),
        categories={
            "harassment": "acoso",
            "harassment/threatening": "acoso con amenazas",
            "hate": "odio",
            "hate/threatening": "odio con amenazas",
            "illicit": "consejos para actos ilícitos",
            "illicit/violent": "consejos para actos ilícitos violentos",
            "self-harm": "autolesión",
            "self-harm/intent": "intención de autolesión",
            "self-harm/instructions": "instrucciones para la autolesión",
            "sexual": "contenido sexual",
            "sexual/minors": "contenido sexual sobre menores",
            "violence": "violencia",
            "violence/graphic": "violencia explícita",
        },
    ),
    "fr": Sentences(
        title="Exposé des motifs",
        measures={
            "removed": "Votre contenu a été retiré.",
            "disabled": "L’accès à votre contenu a été bloqué.",
            "demoted": "Votre contenu est affiché moins souvent.",
            "age_restricted": "Votre contenu n’est affiché qu’aux adultes.",
            "interaction_restricted": "Il n’est plus possible d’interagir avec votre contenu.",
            "labelled": "Votre contenu porte désormais un avertissement.",
        },
        territory="Cela s’applique dans : {territory}.",
        sources={
            "voluntary": "Le contenu a été examiné de notre propre initiative.",
            "article_16": "Le contenu a été examiné à la suite d’une notification.",
            "trusted_flagger": (
                "Le contenu a été examiné à la suite de la notification d’un signaleur de confiance."
            ),
            "other_notification": "Le contenu a été examiné à la suite d’un signalement.",
        },
        facts="Le {date}, il a été constaté qu’il contient : {categories}.",
        no_categories="un contenu que nos règles n’autorisent pas",
        detected="Le contenu a été détecté par des moyens automatisés.",
        automated=(
            "La décision a été prise par des moyens automatisés : {votes} classificateurs ont évalué"
            " le texte."
        ),
        by_list=(
            "La décision a été prise par des moyens automatisés : le texte correspond à une entrée"
            " d’une liste."
        ),
        by_person="La décision a été prise par une personne.",
        ground="La décision repose sur nos règles (politique {policy}, version {version}), qui n’autorisent pas cela.",
        redress=(
            "Vous pouvez nous adresser une réclamation gratuite dans un délai de six mois. Une"
            " personne qui n’a pas pris cette décision l’examinera. Vous pouvez aussi saisir un"
            " organe certifié de règlement extrajudiciaire des litiges ou un tribunal."
        ),
        categories={
            "harassment": "harcèlement",
            "harassment/threatening": "harcèlement avec menaces",
            "hate": "haine",
            "hate/threatening": "haine avec menaces",
            "illicit": "conseils pour des actes illicites",
            "illicit/violent": "conseils pour des actes illicites violents",
            "self-harm": "automutilation",
            "self-harm/intent": "intention d’automutilation",
            "self-harm/instructions": "instructions d’automutilation",
            "sexual": "contenu sexuel",
            "sexual/minors": "contenu sexuel sur des mineurs",
            "violence": "violence",
            "violence/graphic": "violence explicite",
        },
    ),
}
