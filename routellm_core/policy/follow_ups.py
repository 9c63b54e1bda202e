"""Short messages that only mean something after what was said before, in twelve languages."""

from __future__ import annotations

import re

__all__ = ["is_follow_up"]

_MOST_CHARS = 60
"""A longer message says enough of itself, and so does one of more words."""

_MOST_WORDS = 8

_MARKS = " \t.,;:!?…-–—()[]\"'`«»“”‘’¿¡*_~。、，！？；：・「」।॥؟،؛"

# What may stand around a follow-up without changing it.
_COURTESY = frozenset({
    "please", "pls", "plz", "ok", "okay", "now", "then", "just", "por", "favor", "per",
    "favore", "s'il", "te", "plais", "plaît", "bitte", "danke", "jetzt", "mal", "doch",
    "пожалуйста", "плиз", "теперь", "कृपया", "ज़रा", "फिर", "좀", "이제", "من", "فضلك",
    "الآن",
})  # fmt: skip

# The words of a whole message, without marks at its ends and courtesy; parts end with "/".
_PHRASES = frozenset(
    phrase
    for line in (
        # English
        "continue/go on/go ahead/carry on/keep going/proceed/resume/next/more/again/once more",
        "one more/another/another one/one more time/try again/do it/do it again/do that/do so",
        "try it/redo/redo it/repeat/repeat that/say that again/retry/finish/finish it/fix it",
        "fix this/fix that/fix them/fix the bug/fix the error/why/why not/how/how so/how come",
        "what else/what next/what then/what now/what's next/anything else/who/when/where",
        "which/which one/really/are you sure/sure/yes/yep/yeah/yup/y/yes do it/yes go ahead",
        "no/nope/nah/n/no way/ok/okay/k/go/go for it/do/right/correct/exactly/wrong",
        "that's wrong/not that one/it fails/it failed/it doesn't work/it does not work",
        "doesn't work/still broken/same error/still not working/still failing/same problem",
        "shorter/longer/simpler/in short/in detail/more details/more detail/more examples",
        "an example/example/for example/give an example/give me an example/explain",
        "explain more/explain further/elaborate/expand/clarify/tell me/tell me more/show me",
        "show me more/go deeper/be brief/the other/the rest/both/all of them/neither/none",
        "either/i don't understand/i don't get it/what do you mean/meaning/undo/revert",
        "summarize/summarise/tl;dr/tldr/keep it short/same/same again/so/so what/and/and then",
        # Portuguese
        "continua/continue/continuar/prossiga/prossegue/segue/siga/vai/vai em frente",
        "pode continuar/mais/mais um/mais uma/de novo/outra vez/mais uma vez/faz de novo",
        "faça de novo/repete/repita/tenta de novo/tente de novo/tente novamente/corrige",
        "corrija/corrige isso/arruma isso/corrija isso/conserta/conserta isso/por quê/por que",
        "porquê/e por quê/por que não/como/como assim/e agora/e depois/o que mais/quando/onde",
        "quem/qual/sim/não/isso/isso mesmo/claro/certo/tem certeza/faz isso/faça isso",
        "o segundo/a segunda/o primeiro/a primeira/o outro/a outra/o último/a última",
        "mais curto/mais longo/mais simples/mais detalhes/um exemplo/explica/explique",
        "explica melhor/explique melhor/resume/resuma/não entendi/não funciona/não funcionou",
        "deu erro/deixa mais curto/deixe mais curto/faz mais curto/torne mais curto",
        # Spanish
        "continúa/sigue/continuar/continúe/siga/prosigue/adelante/más/otro/otra/otra vez",
        "de nuevo/una vez más/hazlo/hazlo otra vez/hazlo de nuevo/repite/repítelo",
        "inténtalo de nuevo/arréglalo/corrígelo/corrige/arregla eso/por qué/y por qué",
        "por qué no/cómo/cómo así/y ahora/y luego/y después/qué más/cuándo/dónde/quién/cuál",
        "sí/si/no/claro/vale/exacto/estás seguro/el segundo/la segunda/el primero/la primera",
        "el otro/la otra/el último/la última/más corto/más largo/más simple/hazlo más corto",
        "más breve/más detalles/un ejemplo/dame un ejemplo/explica/explícalo/explícame/resume",
        "resúmelo/no entiendo/no funciona/sigue fallando/mismo error",
        # French
        "continue/continuez/vas-y/allez-y/vas-y continue/poursuis/poursuivez/la suite/suite",
        "encore/encore une fois/encore un/encore une/un autre/une autre/refais/refais-le",
        "refaites-le/répète/recommence/réessaie/essaie encore/corrige/corrige-le/corrige ça",
        "répare ça/pourquoi/et pourquoi/pourquoi pas/comment/comment ça/et alors/et ensuite",
        "et après/quoi d'autre/quand/où/qui/lequel/laquelle/oui/non/si/d'accord/exact",
        "tu es sûr/vous êtes sûr/le deuxième/la deuxième/le second/la seconde/le premier",
        "la première/l'autre/le dernier/la dernière/plus court/plus long/plus simple",
        "fais plus court/raccourcis/raccourcis-le/plus de détails/un exemple/donne un exemple",
        "explique/explique mieux/résume/résume-le/fais-le/je ne comprends pas",
        "ça ne marche pas/ça marche pas/même erreur",
        # German
        "noch/weiter/mach weiter/mache weiter/fahr fort/fahre fort/weitermachen/los/mehr",
        "noch mal/nochmal/noch einmal/noch eins/noch einer/noch eine/ein anderes/wiederhole",
        "wiederhole das/versuch es noch mal/versuch's nochmal/mach das/mach es/tu das",
        "beheb das/behebe das/korrigiere/korrigiere das/korrigiere es/repariere es",
        "repariere das/warum/und warum/wieso/weshalb/warum nicht/wie/wie das/wieso nicht",
        "und dann/und jetzt/und weiter/was noch/was dann/wann/wo/wer/welche/welcher/welches",
        "ja/nein/nee/genau/klar/richtig/bist du sicher/sicher/das zweite/die zweite",
        "der zweite/das erste/die erste/der erste/das andere/die andere/das letzte/kürzer",
        "länger/einfacher/mach es kürzer/mach's kürzer/mehr details/ein beispiel/zum beispiel",
        "erkläre/erklär/erklär das/erkläre das/genauer/fasse zusammen/ich verstehe nicht",
        "das verstehe ich nicht/geht nicht/funktioniert nicht/immer noch nicht",
        "gleicher fehler",
        # Italian
        "continua/vai/vai avanti/avanti/prosegui/procedi/ancora/ancora uno/ancora una",
        "di nuovo/un'altra volta/un altro/un'altra/rifallo/rifai/ripeti/riprova/fallo",
        "fallo di nuovo/correggi/correggilo/sistemalo/aggiustalo/perché/e perché/perché no",
        "come/come mai/e poi/e adesso/e ora/cos'altro/che altro/quando/dove/chi/quale/sì/si",
        "no/certo/esatto/giusto/sei sicuro/il secondo/la seconda/il primo/la prima/l'altro",
        "l'altra/l'ultimo/l'ultima/più corto/più breve/più lungo/più semplice/fallo più corto",
        "rendilo più corto/più dettagli/un esempio/fammi un esempio/spiega/spiegati/spiegami",
        "spiega meglio/riassumi/riassumilo/non capisco/non funziona/stesso errore",
        # Russian
        "продолжай/продолжайте/дальше/давай дальше/давай/ещё/еще/ещё раз/еще раз/ещё один",
        "еще один/снова/повтори/повторите/попробуй ещё раз/попробуй снова/сделай/сделай это",
        "сделай ещё раз/исправь/исправь это/исправьте/почини/почини это/почему/и почему",
        "а почему/почему нет/зачем/как/как так/и что/что дальше/и дальше/а дальше/а потом",
        "что ещё/когда/где/кто/какой/какая/да/нет/ага/верно/точно/ты уверен/вы уверены/второй",
        "вторая/второе/первый/первая/первое/другой/последний/последнее/короче/покороче",
        "сделай короче/длиннее/проще/подробнее/поподробнее/пример/приведи пример/объясни",
        "объясните/поясни/резюмируй/не понял/не поняла/не понимаю/не работает/та же ошибка",
        "всё равно не работает",
        # Chinese
        "继续/请继续/接着说/接着/继续说/往下说/下一个/下一步/然后呢/还有呢/还有吗/再来",
        "再来一次/再来一个/再试一次/重试/再说一遍/重复一遍/重新弄一遍/重做/改一下/修一下",
        "修复它/修好它/为什么/为何/为什么呢/怎么/怎么会/怎么办/什么时候/哪里/谁/哪个/是/是的",
        "对/好/好的/好吧/不/不是/不对/嗯/可以/行/你确定吗/第一个/第二个/第三个/最后一个",
        "另一个/另外一个/短一点/简短一点/长一点/简单一点/详细一点/再详细一点/举个例子/例子",
        "解释一下/解释/说明一下/总结一下/没懂/我不明白/不行/没用/还是不行/做吧/都要/换一个",
        "更短/再短一点/缩短/改短一点",
        # Japanese
        "続けて/続けてください/続き/続きを/続きをお願いします/つづけて/次/次は/次へ/もっと",
        "もう一度/もう一回/もう一回やって/もう一度お願いします/もう一つ/やり直して/やって",
        "やってください/お願いします/お願い/直して/直してください/修正して/修正してください",
        "なぜ/なぜですか/なんで/どうして/どうしてですか/どうやって/どういうこと/それで",
        "それから/ほかには/他には/いつ/どこ/誰/どれ/はい/うん/ええ/いいえ/いや/そう/そうです",
        "そうして/本当/本当に/確かですか/二番目/二つ目/一つ目/最初の/最後の/別の/短くして",
        "もっと短く/もっと短くして/短く/長くして/簡単に/もっと簡単に/詳しく/もっと詳しく",
        "例えば/例を挙げて/例は/説明して/説明してください/要約して/まとめて/分かりません",
        "わからない/動かない/動きません/同じエラー/了解/両方",
        # Korean
        "계속해 주세요/계속 해주세요/계속/계속해/계속해줘/계속해 줘/계속해주세요/계속하세요",
        "이어서/다음/다음은/더/더 해줘/다시/다시 해줘/다시 해봐/한 번 더/한번 더/하나 더",
        "반복해줘/해줘/그렇게 해줘/고쳐줘/고쳐 줘/고쳐주세요/수정해줘/왜/왜요/왜죠/왜 그래",
        "왜 안 돼/어떻게/그래서/그리고/그다음/그럼/또/언제/어디/누구/어느 것/네/예/응/그래",
        "아니/아니요/아니오/맞아/맞아요/좋아/확실해/정말/두 번째/첫 번째/세 번째/마지막",
        "다른 거/두 번째 거/짧게/더 짧게/더 짧게 해줘/길게/더 길게/쉽게/더 쉽게/자세히",
        "더 자세히/예를 들어/예시/설명해줘/설명해 줘/요약해줘/이해가 안 돼/안 돼/안 돼요/안돼",
        "같은 오류/둘 다",
        # Arabic
        "أكمل/اكمل/استمر/تابع/واصل/كمل/التالي/المزيد/أكثر/مرة أخرى/مرة ثانية/أعد/أعد ذلك/كرر",
        "حاول مرة أخرى/حاول ثانية/افعل ذلك/نفذ/أصلحه/أصلحها/صححه/صحح ذلك/لماذا/ولماذا/لم/ليش",
        "لم لا/لماذا لا/كيف/وكيف/ثم ماذا/وبعد/وماذا بعد/ماذا بعد/ماذا أيضا/متى/أين/من/أي واحد",
        "نعم/أجل/لا/كلا/صحيح/تمام/حسنا/طيب/هل أنت متأكد/متأكد/الثاني/الثانية/الأول/الأولى",
        "الآخر/الأخير/أقصر/اجعله أقصر/اختصره/اختصر/أطول/أبسط/بالتفصيل/مزيد من التفاصيل/مثال",
        "أعط مثالا/اشرح/اشرح أكثر/وضح/لخص/لم أفهم/لا يعمل/ما زال لا يعمل/نفس الخطأ",
        # Hindi
        "जारी रखो/जारी रखें/जारी रखिए/आगे/आगे बढ़ो/आगे बताओ/आगे बताइए/और/और बताओ/और बताइए",
        "फिर से/फिर से करो/दोबारा/दोबारा करो/एक और/एक बार और/दोहराओ/फिर कोशिश करो/करो/यह करो",
        "कर दो/ठीक करो/इसे ठीक करो/ठीक कर दो/सुधारो/इसे सुधारो/क्यों/और क्यों/क्यों नहीं/कैसे",
        "और कैसे/फिर क्या/आगे क्या/और क्या/कब/कहाँ/कौन/कौन सा/हाँ/हां/जी/जी हाँ/नहीं/ठीक",
        "ठीक है/सही/पक्का/दूसरा/दूसरी/दूसरा वाला/पहला/पहली/पहला वाला/आखिरी/छोटा करो",
        "इसे छोटा करो/और छोटा/लंबा करो/आसान करो/विस्तार से/उदाहरण/उदाहरण दो/समझाओ/समझाइए",
        "सारांश/संक्षेप में/समझ नहीं आया/काम नहीं कर रहा/वही गलती/दोनों",
    )
    for phrase in line.split("/")
)  # fmt: skip

# English phrases with a word that changes, and forms that many languages share.
_FORMS = re.compile(
    r"(?:and |but |so )?(?:why|how|what|when|where|who|which)"
    r"(?: (?:not|so|then|else|exactly|next|is that|is it|does it|about (?:it|that|this|them)))?"
    r"|(?:and |but )?(?:what|how) about(?: [^\W\d_]{1,16}){1,3}"
    r"|(?:make|keep|do|try|fix|change|turn|rewrite|shorten|expand|explain|translate|improve|test"
    r"|run|show|check|finish|format|undo|delete|remove|simplify|summari[sz]e|redo)"
    r" (?:that|(?:it|them)(?: [^\W_]{1,16}){0,4})"
    r"|(?:the |take |use |do ){0,2}(?:first|second|third|fourth|last|other|next|previous"
    r"|former|latter)(?: (?:one|two|option|version|part|point|step|example))?"
    r"|(?:option|number|point|step|part|version|choice|opção|opción|passo|paso|étape|schritt|punkt"
    r"|opzione|вариант|пункт) ?#?(?:[0-9]{1,2}|[a-f])"
    r"|#?[0-9]{1,2}|[a-e]"
    r"|(?:and |now )?(?:in|auf|en|em|на) [^\W\d_]{2,16}"
    r"|(?:and|y|e|et|und|и|а|और)(?: [^\W\d_]{1,16}){1,2}"
    r"|那?[^\W\d_]{1,8}呢|(?:じゃあ|では)[^\W\d_]{1,8}は|그럼 [^\W\d_]{1,8}"
)


def is_follow_up(text: str) -> bool:
    """Return whether a message only means something after what was said before.

    "continue", "and why?", "make it shorter", "the second one", a number, or marks alone. What
    greets, thanks or names its own subject is no follow-up. Of a conversation's first message the
    answer says nothing.

    Parameters
    ----------
    text
        The message; one of more than 60 characters or eight words is never a follow-up.

    Examples
    --------
    >>> [is_follow_up(text) for text in ("And why?", "weiter bitte", "もっと短くして")]
    [True, True, True]
    >>> is_follow_up("Why is the sky blue?") or is_follow_up("thanks!")
    False
    """
    if len(text) > _MOST_CHARS:
        return False
    folded = " ".join(text.casefold().replace("’", "'").split()).strip(_MARKS)
    if not any(map(str.isalnum, folded)):
        return bool(text.strip())
    if folded in _PHRASES:
        return True
    words = folded.split()
    if len(words) > _MOST_WORDS:
        return False
    if _FORMS.fullmatch(folded):
        return True
    words = [word.strip(_MARKS) for word in words]
    kept = " ".join(word for word in words if word and word not in _COURTESY)
    return not kept or kept in _PHRASES or (kept != folded and bool(_FORMS.fullmatch(kept)))
