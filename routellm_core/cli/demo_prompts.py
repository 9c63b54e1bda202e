"""The prompts of the demonstration: an easy and a hard one in each of twelve languages.

They were written for the demonstration alone, before any router had scored them, and no router was
trained on these texts. Easy ones are not always short, and hard ones not always long.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["PROMPTS", "DemoPrompt"]


class DemoPrompt(NamedTuple):
    """A prompt, its language (ISO 639-1), and what a person thinks of it."""

    language: str
    level: Literal["easy", "hard"] | None
    text: str


PROMPTS = (
    DemoPrompt(
        "en", "easy", "If it is not too much trouble, could you tell me which day follows Friday?"
    ),
    DemoPrompt("en", "hard", "Prove that every finite integral domain is a field."),
    DemoPrompt("pt", "easy", "Como se diz «obrigado» em inglês?"),
    DemoPrompt("pt", "hard", "Deduza a equação de Navier-Stokes para um fluido incompressível."),
    DemoPrompt("es", "easy", "¿De qué color es un limón maduro?"),
    DemoPrompt("es", "hard", "Demuestra que la raíz cuadrada de todo número primo es irracional."),
    DemoPrompt("fr", "easy", "Écris une courte phrase pour souhaiter un bon anniversaire."),
    DemoPrompt("fr", "hard", "Énonce le théorème d'incomplétude de Gödel et esquisse sa preuve."),
    DemoPrompt("de", "easy", "Welche Farbe hat ein Feuerwehrauto meistens?"),
    DemoPrompt("de", "hard", "Leite die Euler-Lagrange-Gleichung her."),
    DemoPrompt(
        "it", "easy", "Ciao! Stasera vorrei cucinare qualcosa di semplice: quanto cuoce la pasta?"
    ),
    DemoPrompt(
        "it", "hard", "Progetta un protocollo di consenso bizantino e analizzane la complessità."
    ),
    DemoPrompt("ru", "easy", "Как по-английски будет «кошка»?"),
    DemoPrompt("ru", "hard", "Докажите сходимость метода Ньютона вблизи простого корня."),
    DemoPrompt("zh", "easy", "一年有几个季节?"),
    DemoPrompt("zh", "hard", "推导黑洞的霍金辐射温度。"),
    DemoPrompt("ja", "easy", "「ありがとう」を英語で何と言いますか。"),
    DemoPrompt("ja", "hard", "制約条件の下でエントロピーを最大にする分布を導出してください。"),
    DemoPrompt("ko", "easy", "사과는 보통 무슨 색인가요?"),
    DemoPrompt("ko", "hard", "교착 상태가 없는 잠금 프리 큐를 설계하고 정확성을 증명하세요."),
    DemoPrompt("ar", "easy", "ما هو لون السماء في النهار؟"),
    DemoPrompt("ar", "hard", "اشتق معادلات ماكسويل في الفراغ من مبدأ أقل تأثير."),
    DemoPrompt("hi", "easy", "आज आप कैसे हैं?"),
    DemoPrompt("hi", "hard", "सिद्ध कीजिए कि अभाज्य संख्याएँ अनंत हैं और उनके घनत्व का आकलन कीजिए।"),
)
