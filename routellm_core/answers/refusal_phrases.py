"""How answers begin that refuse, in twelve languages.

A refusal is up to four openers and then a start: every slot of a start is filled by one of its
alternatives, which are separated by "|"; an empty alternative leaves the slot out. `exceptions`
begin like a refusal and are none.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["REFUSALS", "Refusals"]


class Refusals(NamedTuple):
    """The phrases of one language."""

    openers: str
    starts: tuple[tuple[str, ...], ...]
    exceptions: str = ""


_EN_VERBS = (
    "help|assist|provide|comply|fulfill|fulfil|answer|do that|do this|create|generate|write|give|"
    "offer|support|engage|discuss|share|produce|participate|continue|respond|complete|access|"
    "browse|facilitate|recommend|endorse|promote|make|perform|proceed|satisfy|talk about|tell you|"
    "process that|process this|open|view|accommodate|honor|condone"
)
_ES_VERBS = (
    "ayudar|asistir|proporcionar|ofrecer|responder|cumplir|generar|crear|escribir|dar|continuar|"
    "participar|realizar|hacer eso|hacerlo|compartir|atender|facilitar|brindar|acceder|completar|"
    "discutir|hablar|cumplir|procesar|satisfacer"
)
_PT_VERBS = (
    "ajudar|ajuda|te ajudar|lhe ajudar|auxiliar|fornecer|oferecer|responder|atender|cumprir|gerar|"
    "criar|escrever|dar|lhe dar|continuar|participar|realizar|fazer isso|compartilhar|partilhar|"
    "discutir|completar|acessar|aceder|prestar|processar"
)
_FR_VERBS = (
    "aider|assister|fournir|repondre|donner|acceder|satisfaire|generer|creer|ecrire|rediger|"
    "continuer|participer|realiser|faire cela|faire ca|partager|discuter|traiter|proposer|produire|"
    "effectuer|poursuivre|offrir|apporter"
)
_DE_VERBS = (
    "helfen|weiterhelfen|unterstutzen|behilflich|beantworten|erfullen|nachkommen|entsprechen|"
    "antworten|bereitstellen|anbieten|hilfe|informationen|unterstutzung|anleitung|auskunft|"
    "bearbeiten|tun|machen|erstellen|schreiben|geben|liefern|dabei|damit|zugreifen"
)
_DE_WHAT = (
    "|dabei|damit|hierbei|hiermit|bei dieser anfrage|mit dieser anfrage|bei dieser bitte|"
    "diese anfrage|diese frage|dieser anfrage|dieser bitte|deine frage|ihre frage|deine anfrage|"
    "ihre anfrage|das|dies|dem|darauf|darüber|dazu"
)
_IT_VERBS = (
    "aiutar|assister|fornir|risponder|soddisfar|generar|crear|scriver|dare|darti|darle|continuar|"
    "partecipar|fare questo|farlo|condivider|discuter|completar|acceder|eseguir|offrir|proceder|"
    "esaudir|elaborar"
)
_RU_VERBS = (
    "помочь|помогать|предоставить|предоставлять|ответить|отвечать|выполнить|создать|написать|дать|"
    "предложить|сгенерировать|обсуждать|поддержать|продолжить|участвовать|сделать|поделиться|"
    "рассказать|содействовать|обработать|удовлетворить"
)
_RU_WHAT = (
    "|вам|тебе|с этим|вам с этим|тебе с этим|вам в этом|тебе в этом|в этом|на этот вопрос|"
    "на ваш вопрос|этот запрос|ваш запрос|этого|это|эту просьбу|вашу просьбу|данный запрос"
)
_ZH_VERBS = (
    "帮助|幫助|协助|協助|提供|回答|满足|滿足|完成|执行|執行|处理|處理|生成|编写|編寫|撰写|"
    "撰寫|给出|給出|给你|给您|"
    "讨论|討論|参与|參與|继续|繼續|支持|为您|為您|为你|為你|帮您|幫您|帮你|幫你|对此|對此|"
    "就此|回应|回應|遵从|按照您|"
    "创建|創建|访问|訪問|协同|分享|透露|答应|答應|这样做|這樣做|写这|寫這"
)
_JA_WHAT = (
    "|この|その|そのような|このような|ご|そのご|このご|お",
    "要望|依頼|質問|リクエスト|内容|お願い|情報|件|行為|ご要望|ご依頼|ご質問",
    "には|に|を|については|に関しては|は",
)
_JA_CANNOT = (
    "お応え|応える|応じる|お答え|答える|対応|ご対応|回答|ご回答|提供|ご提供|お手伝い|協力|"
    "ご協力|支援|"
    "お受け|実行|作成|サポート|お力添え|お教え|ご案内",
    "|する|すること|ること|ことは|することは|こと|することが|は|が",
    "できません|でき兼ねます|できかねます|いたしかねます|致しかねます|いたしません|"
    "することはできません|"
    "ことはできません|かねます",
)
_KO_WHAT = (
    "|그|이|해당|그런|이런|이러한|그러한|요청하신|말씀하신|질문하신",
    "|요청|질문|내용|정보|부분|작업|주제",
    "|은|는|을|를|에|에는|에 대해|에 대해서|에 대해서는|에 대한|과 관련해서는|에는",
    "|도움을|답변을|정보를|지원을",
)
_KO_CANNOT = (
    "도와드릴 수|도움을 드릴 수|도움 드릴 수|드릴 수|답변할 수|답변해 드릴 수|답변드릴 수|"
    "대답할 수|제공할 수|제공해 드릴 수|"
    "제공드릴 수|들어드릴 수|수행할 수|응할 수|처리할 수|작성할 수|작성해 드릴 수|생성할 수|"
    "따를 수|지원할 수|이행할 수|"
    "도울 수|말씀드릴 수|알려드릴 수",
    "|가|는",
    "없",
)
_HI_WHAT = (
    "|इसमें|इस में|इस अनुरोध में|इस अनुरोध को|आपके अनुरोध को|इस मामले में|यह|ऐसा|ऐसी|"
    "इस प्रश्न का|इस सवाल का|"
    "आपके प्रश्न का|आपके सवाल का|इस विषय पर|इस तरह की|इस प्रकार की|इस बारे में|इस काम में|"
    "यह काम|इस कार्य में",
    "|आपकी|आपको",
    "|सहायता|मदद|उत्तर|जवाब|जानकारी|पूरा|कोई सहायता|कोई मदद|कोई जानकारी|अनुरोध पूरा",
)
_HI_CANNOT = (
    "नहीं कर सकता|नहीं कर सकती|नहीं दे सकता|नहीं दे सकती|नहीं कर पाऊंगा|नहीं कर पाऊँगा|"
    "नहीं कर पाऊंगी|करने में असमर्थ|"
    "देने में असमर्थ|प्रदान नहीं कर सकता|प्रदान नहीं कर सकती|प्रदान करने में असमर्थ|"
    "असमर्थ हूं|असमर्थ हूँ"
)
_AR_VERBS = (
    "مساعدتك|المساعدة|مساعدة|أساعدك|تقديم|تلبية|الإجابة|إجابة|الرد|توفير|إنشاء|كتابة|إعطاء|"
    "إعطائك|تزويدك|تنفيذ|مناقشة|الاستمرار|المشاركة|أقدم|أجيب|فعل ذلك|القيام بذلك|الامتثال|إنتاج|"
    "دعم|الوصول|الاستجابة|معالجة|أن أساعدك|أن أقدم|أن أجيب"
)

REFUSALS: dict[str, Refusals] = {
    "en": Refusals(
        "i'm sorry|i am sorry|sorry|i'm really sorry|i'm very sorry|i'm so sorry|i apologize|"
        "i apologise|my apologies|apologies|unfortunately|regrettably|but|however|as an ai|"
        "as an ai language model|as an ai assistant|as an artificial intelligence|"
        "as a language model|as a large language model|as a responsible ai|i'm afraid|"
        "i am afraid|that|for the inconvenience|for any inconvenience|for the confusion|no|"
        "thank you for your question|thanks for your question|i understand your request|"
        "i appreciate your question|to hear that|about that|i'm just an ai|i am just an ai|and",
        (
            (
                "i can't|i cannot|i am unable to|i'm unable to|i am not able to|i'm not able to|"
                "i won't|i will not|i won't be able to|i will not be able to|i'm not allowed to|"
                "i am not allowed to|i'm not permitted to|i am not permitted to|"
                "i'm not comfortable|i am not comfortable|i don't feel comfortable|"
                "i do not feel comfortable|i'm not in a position to|i am not in a position to|"
                "i can't and won't|i cannot and will not|i must decline to|i have to decline to|"
                "i'm not programmed to|i am not programmed to|i could not",
                "|directly|currently|personally|in good conscience|really|legally|ethically",
                _EN_VERBS
                + "|helping|assisting|providing|answering|creating|generating|writing|engaging",
            ),
            (
                "i must decline|i must respectfully decline|i have to decline|i need to decline|"
                "i respectfully decline|i decline to|i refuse to|i'm going to have to decline|"
                "i don't have access to|i do not have access to|i don't have the ability to|"
                "i do not have the ability to|i don't have real time|i do not have real time|"
                "i don't have the capability|i do not have the capability|"
                "it would be inappropriate for me|it is not appropriate for me|"
                "it's not appropriate for me|this request violates|your request violates|"
                "it is against my|it's against my|i'm designed to be helpful and harmless",
            ),
        ),
        "i can't help but|i cannot help but|i can't help myself|i cannot help myself|"
        "i can't help feeling|i can't help thinking|i can't help noticing",
    ),
    "es": Refusals(
        "lo siento|lo siento mucho|lo lamento|lamento|disculpa|disculpe|disculpas|perdon|perdona|"
        "me temo que|lamentablemente|desafortunadamente|desgraciadamente|pero|sin embargo|"
        "como modelo de lenguaje|como ia|como inteligencia artificial|como asistente de ia|"
        "como asistente virtual|mucho|te pido disculpas|le pido disculpas|no",
        (
            (
                "no puedo|no me es posible|no soy capaz de|no estoy en condiciones de|no podre|"
                "no me esta permitido|no voy a|no es posible|no me siento comodo",
                _ES_VERBS,
            ),
            (
                "debo rechazar|tengo que rechazar|debo declinar|no tengo acceso a|"
                "no tengo la capacidad de|me niego a|no estoy autorizado|no estoy programado",
            ),
        ),
    ),
    "pt": Refusals(
        "desculpe|desculpa|me desculpe|sinto muito|lamento|lamento muito|peco desculpas|perdao|"
        "infelizmente|mas|porem|no entanto|receio que|como um modelo de linguagem|"
        "como modelo de linguagem|como uma ia|como ia|como assistente de ia|"
        "como uma inteligencia artificial|eu|nao",
        (
            (
                "nao posso|nao consigo|nao sou capaz de|nao estou autorizado a|nao me e possivel|"
                "nao poderei|nao vou|nao e possivel|nao me sinto confortavel em",
                _PT_VERBS,
            ),
            (
                "tenho que recusar|preciso recusar|devo recusar|nao tenho acesso a|"
                "nao tenho a capacidade de|nao tenho capacidade de|recuso me a",
            ),
        ),
    ),
    "fr": Refusals(
        "je suis desole|je suis desolee|desole|desolee|je suis vraiment desole|"
        "je suis sincerement desole|je regrette|je m'excuse|toutes mes excuses|excusez moi|"
        "malheureusement|mais|cependant|je crains que|je crains de|en tant qu'ia|"
        "en tant que modele de langage|en tant qu'assistant ia|en tant qu'assistant|"
        "en tant qu'intelligence artificielle|non|que",
        (
            (
                "je ne peux pas|je ne peux|je ne suis pas en mesure|je ne suis pas capable|"
                "je ne suis pas autorise|je ne suis pas habilite|je ne pourrai pas|je refuse|"
                "il m'est impossible|il ne m'est pas possible|je ne saurais|je ne puis|"
                "je ne vais pas|ne pas pouvoir|ne pas etre en mesure",
                "|malheureusement|de|a|d'",
                "|vous|t'|te|y|lui|vous en",
                _FR_VERBS,
            ),
            (
                "je dois refuser|je dois decliner|je me dois de refuser|je n'ai pas acces|"
                "je n'ai pas la capacite|je n'ai pas la possibilite",
            ),
        ),
    ),
    "de": Refusals(
        "es tut mir leid|es tut mir sehr leid|tut mir leid|tut mir sehr leid|entschuldigung|"
        "ich entschuldige mich|ich bitte um entschuldigung|leider|bedauerlicherweise|"
        "ich bedaure|ich bedauere|verzeihung|aber|jedoch|doch|als ki|als ki modell|"
        "als ki assistent|als ki assistentin|als sprachmodell|als ki sprachmodell|"
        "als kunstliche intelligenz|nein|dass|ich furchte",
        (
            (
                "ich kann|ich darf|ich werde|kann ich|darf ich|werde ich",
                "|dir|ihnen|euch|dich|sie",
                _DE_WHAT,
                "|leider|nicht leider",
                "nicht|keine|keinen|kein|nicht direkt",
                _DE_VERBS,
            ),
            (
                "das|dabei|damit|diese frage|diese anfrage|dieser bitte|dieser anfrage|hierbei|"
                "darauf|ihre frage|deine frage|auf diese frage",
                "kann ich|darf ich|werde ich",
                "|dir|ihnen|euch",
                "|leider",
                "nicht",
                _DE_VERBS,
            ),
            (
                "ich bin nicht in der lage|ich bin leider nicht in der lage|"
                "bin ich nicht in der lage|ich muss ablehnen|"
                "ich muss diese anfrage ablehnen|ich muss das ablehnen|"
                "ich habe keinen zugriff|ich habe keinen zugang|ich habe leider keinen zugriff|"
                "habe ich keinen zugriff|ich weigere mich|es ist mir nicht moglich|"
                "es ist mir leider nicht moglich|ist es mir nicht moglich",
            ),
        ),
    ),
    "it": Refusals(
        "mi dispiace|mi spiace|mi dispiace molto|scusa|scusami|mi scusi|mi scuso|purtroppo|"
        "sfortunatamente|ma|tuttavia|temo che|temo di|in quanto ia|"
        "in quanto modello linguistico|in quanto intelligenza artificiale|come ia|"
        "come modello linguistico|come assistente ia|essendo un'ia|"
        "essendo un modello linguistico|sono spiacente|sono desolato|io|no|le mie scuse",
        (
            (
                "non posso|non sono in grado di|non mi e possibile|non riesco a|non potro|"
                "non sono autorizzato a|non e possibile|di non poter|non poter|mi rifiuto di|"
                "di non essere in grado di",
                _IT_VERBS,
            ),
            (
                "devo rifiutare|devo declinare|devo rifiutarmi|non ho accesso|"
                "non ho la capacita|non ho la possibilita",
            ),
        ),
    ),
    "ru": Refusals(
        "извините|извини|простите|прости|прошу прощения|к сожалению|сожалею|мне жаль|"
        "мне очень жаль|я сожалею|приношу извинения|приношу свои извинения|но|однако|как ии|"
        "как языковая модель|как искусственный интеллект|будучи языковой моделью|боюсь|что|нет|"
        "как модель искусственного интеллекта|как ассистент",
        (
            (
                "я не могу|я не смогу|я не в состоянии|не могу|не смогу|я не имею возможности|"
                "я не имею права|я не буду|мне нельзя|я не способен|я не готов",
                _RU_WHAT,
                _RU_VERBS,
            ),
            (
                "я вынужден отказаться|я вынужден отказать|вынужден отказать|"
                "вынужден отказаться|я вынуждена отказать|я отказываюсь|я должен отказаться|"
                "у меня нет доступа|у меня нет возможности|я не имею доступа",
            ),
        ),
    ),
    "ar": Refusals(
        "آسف|أنا آسف|آسفة|عذرا|أعتذر|نعتذر|أعتذر منك|للأسف|مع الأسف|معذرة|لكن|ولكن|لكنني|ولكنني|"
        "لكني|ولكني|كنموذج لغوي|بصفتي نموذجا لغويا|كذكاء اصطناعي|بصفتي مساعدا|جدا|يؤسفني|أنا|"
        "بصفتي ذكاء اصطناعيا|كمساعد ذكاء اصطناعي|لأنني|فأنا|أخشى أنني",
        (
            (
                "لا أستطيع|لا يمكنني|لا أقدر على|لا يسعني|لن أستطيع|لن أتمكن من|لست قادرا على|"
                "لست قادرة على|غير قادر على|غير قادرة على|لا أتمكن من|لن أقوم|لا يمكن",
                _AR_VERBS,
            ),
            (
                "ليس لدي إمكانية|ليست لدي القدرة|ليس لدي القدرة|لا أملك القدرة|"
                "لا أملك إمكانية|يجب أن أرفض|أرفض|ليس بإمكاني|ليس بوسعي|لا أملك صلاحية",
            ),
        ),
    ),
    "hi": Refusals(
        "क्षमा करें|माफ़ करें|माफ कीजिए|माफ़ कीजिएगा|क्षमा कीजिए|मुझे खेद है|मुझे माफ़ करें|"
        "मुझे क्षमा करें|खेद है|"
        "दुर्भाग्य से|दुर्भाग्यवश|अफसोस|लेकिन|परंतु|परन्तु|किंतु|मगर|कि|पर|एक एआई के रूप में|"
        "एक ai के रूप में|"
        "एक भाषा मॉडल के रूप में|एक एआई भाषा मॉडल के रूप में|मैं क्षमा चाहता हूँ|"
        "मैं क्षमा चाहती हूँ|मैं माफी चाहता हूँ|"
        "मैं माफी चाहती हूँ|नहीं",
        (("मैं|", *_HI_WHAT, _HI_CANNOT), ("मेरे पास इसकी पहुंच नहीं|मुझे मना करना होगा|मैं मना करता",)),
    ),
    "zh": Refusals(
        "抱歉|很抱歉|非常抱歉|对不起|對不起|实在抱歉|不好意思|遗憾的是|遺憾的是|很遗憾|很遺憾|"
        "但是|但|不过|不過|然而|"
        "作为一个ai|作為一個ai|作为ai|作為ai|作为人工智能|作為人工智慧|作为一名ai助手|"
        "作为ai助手|作为一个人工智能|"
        "作为一个语言模型|作為一個語言模型|作为语言模型|作为人工智能助手|"
        "作为一个人工智能语言模型|语言模型|助手|"
        "恐怕|我很抱歉|我感到抱歉|目前|暂时",
        (
            (
                "我不能|我无法|我無法|我没法|我没有办法|我暂时无法|我目前无法|无法|無法|不能|"
                "我不会|我不會|我不可以|"
                "我恐怕不能|我恐怕无法|我没有能力|我不便",
                "|直接|继续|就此|对此|為此|为此|向您|向你",
                _ZH_VERBS,
            ),
            ("我必须拒绝|我必須拒絕|我拒绝|我拒絕|我没有权限|我沒有權限|我没有访问|我无权|我無權",),
        ),
    ),
    "ja": Refusals(
        "申し訳ありません|申し訳ございません|大変申し訳ありません|大変申し訳ございません|"
        "誠に申し訳ございません|"
        "誠に申し訳ありません|すみません|すいません|ごめんなさい|恐れ入ります|恐縮です|"
        "残念ながら|あいにく|が|けど|けれど|"
        "しかし|ただ|aiとして|私はaiなので|私はaiですので|言語モデルとして|"
        "aiアシスタントとして|私は|私には|その",
        (
            (*_JA_WHAT, *_JA_CANNOT),
            _JA_CANNOT,
            ("お断り|ご遠慮|お控え",),
        ),
    ),
    "ko": Refusals(
        "죄송합니다|죄송합니다만|죄송하지만|정말 죄송하지만|미안합니다|미안하지만|"
        "유감스럽지만|유감스럽게도|안타깝지만|"
        "안타깝게도|하지만|그러나|저는|제가|저로서는|ai로서|인공지능으로서|언어 모델로서|"
        "ai 언어 모델로서|"
        "저는 ai이기 때문에|아쉽지만|ai 어시스턴트로서|매우|정말|대단히",
        (
            (*_KO_WHAT, *_KO_CANNOT),
            ("도와드리기|답변하기|답변드리기|제공하기|응하기", "|가|는", "어렵|힘듭|곤란"),
        ),
    ),
}
"""By language (ISO 639-1), without accents where the language's letters have them."""
