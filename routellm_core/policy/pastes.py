"""The request in a message that is mostly pasted text: documents, examples, code, logs, JSON."""

from __future__ import annotations

import json
import re

from routellm_core.policy.follow_ups import is_follow_up

__all__ = ["request_in"]

_MOST_CHARS = 200_000
"""A longer message is routed whole, without a search."""
_FEWEST_LOG_LINES = 3
_FEWEST_EXAMPLES = 2

_CONTEXT = re.compile(
    r"^[ \t#*]{0,6}(?:Context|Contexts|Context information|Documents?|Passages?|Sources?|Article"
    r"|Contexto|Documentos?|Contexte|Kontext|Dokumente?|Contesto|Documento|Контекст|Документы?"
    r"|上下文|背景|资料|文脈|コンテキスト|資料|문맥|맥락|문서|السياق|سياق|المستند|संदर्भ|दस्तावेज़)"
    r"[ \t*]{0,4}[:：]",
    re.IGNORECASE | re.MULTILINE,
)
_QUESTION = re.compile(
    r"^[ \t#*]{0,6}(?:Question|Query|Request|User question|User query|User|Human|Customer"
    r"|Pergunta|Usuário|Usuario|Pregunta|Utilisateur|Frage|Nutzer|Benutzer|Domanda|Utente"
    r"|Вопрос|Пользователь|问题|用户|質問|ユーザー|질문|사용자|السؤال|سؤال|المستخدم"
    r"|प्रश्न|सवाल|उपयोगकर्ता)[ \t*]{0,4}[:：]",
    re.IGNORECASE | re.MULTILINE,
)
_ANSWER = re.compile(
    r"\n[ \t#*]{0,6}(?:(?:Helpful )?Answer|Response|Assistant|A|AI|Resposta|Respuesta|Réponse"
    r"|Antwort|Risposta|Ответ|答案|回答|答|답변|답|الجواب|الإجابة|उत्तर|जवाब)"
    r"[ \t*]{0,4}[:：][ \t*]{0,4}",
    re.IGNORECASE,
)
_PERSONA = re.compile(
    r"(?:You are|You're|Act as|Você é|Eres|Tu es|Vous êtes|Du bist|Sie sind|Sei un|Tu sei|Ты|Вы"
    r"|أنت|आप|तुम)\b|你是|您是|あなたは|당신은|너는",
    re.IGNORECASE,
)
_LABEL = re.compile(r"^([^\W\d_][^\n:：]{0,24}?)[ \t]?[:：]", re.MULTILINE)
_LOG_LINE = re.compile(
    r"\[?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d|\[?\d\d:\d\d:\d\d[ .,\]]"
    r"|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}\d{1,2} \d\d:\d\d:\d\d"
    r"|\[?(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL)\b"
)
_FIELDS = frozenset({
    "question", "query", "prompt", "message", "request", "instruction", "user_message",
    "user_input", "user_query", "input", "pergunta", "mensagem", "pregunta", "mensaje",
    "frage", "nachricht", "domanda", "messaggio", "вопрос", "сообщение", "问题", "消息",
    "質問", "メッセージ", "질문", "내용", "메시지", "السؤال", "الرسالة", "प्रश्न", "संदेश",
})  # fmt: skip


def request_in(text: str) -> str:
    r"""Return the request in a message that pastes something around it.

    Found are: a labelled question after or before a labelled context, or after a description of
    the assistant ("You are ..."); the last of several labelled examples, with the instruction
    above them; what stands outside fenced code, a log or JSON; and the field of a JSON object that
    holds the request. Where the form leaves a doubt, the whole text is the request.

    Parameters
    ----------
    text
        A user's message. One line that is not JSON, and more than 200,000 characters, are not
        searched. The time is linear in the length.

    Examples
    --------
    >>> paste = "Context:\nThe tower is 324 m high.\n\nQuestion: How high is it?\nAnswer:"
    >>> request_in(paste)
    'How high is it?'
    >>> request_in("Write a poem.\nFour lines.")
    'Write a poem.\nFour lines.'
    """
    if ("\n" not in text and text[:1] != "{") or len(text) > _MOST_CHARS:
        return text
    for find in (_in_json, _outside_code, _outside_log, _last_example, _labelled, _before_json):
        request = find(text)
        if request is not None:
            request = request.strip()
            return request if any(map(str.isalnum, request)) else text
    return text


def _in_json(text: str) -> str | None:
    """Return the one field of an object that holds a request."""
    fields = _decoded(text)
    if not isinstance(fields, dict):
        return None
    found = [value for name, value in fields.items() if name.casefold() in _FIELDS]
    return found[0] if len(found) == 1 and isinstance(found[0], str) else None


def _before_json(text: str) -> str | None:
    """Return the lines before JSON that goes on to the end, or after JSON that begins the text."""
    for opening in ("\n{", "\n["):
        head, found, tail = text.partition(opening)
        if found and _decoded(opening[1] + tail) is not None:
            return _instruction(head)
    for closing in ("}\n", "]\n"):
        head, found, tail = text.rpartition(closing)
        if found and _decoded(head + closing[0]) is not None:
            return _instruction(tail)
    return None


def _decoded(text: str) -> object:
    """Return what an object or a list holds; None if the text is neither."""
    stripped = text.strip()
    if stripped[:1] + stripped[-1:] not in ("{}", "[]"):
        return None
    try:
        decoded: object = json.loads(stripped)
    except (ValueError, RecursionError):
        return None
    return decoded


def _outside_code(text: str) -> str | None:
    """Return what stands outside fenced blocks, if every block is closed."""
    parts = text.split("```")
    if len(parts) < 3 or len(parts) % 2 == 0:
        return None
    return _instruction("\n".join(part.strip() for part in parts[::2]))


def _outside_log(text: str) -> str | None:
    """Return the lines before or after a log of at least three lines."""
    lines = text.splitlines()
    logged = [number for number, line in enumerate(lines) if _LOG_LINE.match(line)]
    if len(logged) < _FEWEST_LOG_LINES:
        return None
    before, after = lines[: logged[0]], lines[logged[-1] + 1 :]
    # The lines of a stack trace are the log's.
    while after and (after[0][:1].isspace() or after[0][:3] == "at "):
        after = after[1:]
    return _instruction("\n".join([*before, *after]))


def _instruction(text: str) -> str | None:
    """Return what is asked about a paste; None if that says nothing without it ("fix it")."""
    text = text.strip()
    return None if not text or is_follow_up(text) else text


def _last_example(text: str) -> str | None:
    """Return the instruction above examples of one form, and the example to be completed."""
    if text.rstrip()[-1:] not in (":", "："):
        return None
    labels = list(_LABEL.finditer(text))
    if len(labels) < 2 * (_FEWEST_EXAMPLES + 1) or text[labels[-1].end() :].strip():
        return None
    asked, answered = labels[-2].group(1), labels[-1].group(1)
    pairs = [label.group(1) for label in labels]
    if asked == answered or pairs != [asked, answered] * (len(pairs) // 2):
        return None
    last = text[labels[-2].end() : labels[-1].start()].strip()
    above = text[: labels[0].start()].strip()
    return f"{above}\n{last}" if above else last


def _labelled(text: str) -> str | None:
    """Return a labelled question beside a labelled context, a persona or a place for the answer."""
    questions = list(_QUESTION.finditer(text))
    if len(questions) != 1:
        return None
    question = questions[0]
    rest = text[question.end() :].rstrip()
    answer = _last_answer(rest)
    context = _CONTEXT.search(text)
    if context is not None and context.start() > question.start():
        before = text[: question.start()].strip()
        return None if before else text[question.end() : context.start()]
    awaits_answer = answer is not None
    if context is None and not awaits_answer and not _PERSONA.match(text.lstrip()):
        return None
    if not text[: question.start()].strip():
        return None
    return rest if answer is None else rest[:answer]


def _last_answer(rest: str) -> int | None:
    """Return where a label for the answer begins, if nothing stands after it."""
    last = next(reversed(list(_ANSWER.finditer(rest))), None)
    return None if last is None or rest[last.end() :].strip() else last.start()
