"""Compute the numbers of bert-score 0.3.13 that `tests/answers/test_text_metrics.py` compares with.

    pip install bert-score==0.3.13 'transformers<5'
    PYTHONPATH=tests python tests/answers/reference/make.py

The encoder is that of `tiny_checkpoints.tiny_encoder`; its weights come from NumPy's generator.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from tiny_checkpoints import tiny_encoder

PAIRS = [
    ("what is the capital of france", "what is the capital of france"),
    ("explain quantum entanglement", "prove that there are infinitely many primes"),
    ("how do i sort list in python", "sort two numbers"),
    ("write a poem about hello and then translate to german", "write a poem"),
    ("sum two numbers and then answer the question from one to five", "rate the question"),
    ("unknowable words: 1 + 1 = 2!", "how many primes are there"),
    ("a", "the capital of france is a question that you sort in python and translate to german"),
]
LAYERS = (0, 1, 3)
BASELINE = (0.25, 0.3, 0.35)


def scores(folder: str, layer: int, *, idf: bool) -> dict:
    import bert_score

    candidates, references = (list(side) for side in zip(*PAIRS, strict=True))
    with TemporaryDirectory() as tables:
        table = Path(tables) / "baseline.tsv"
        table.write_text(
            "LAYER,P,R,F\n" + "".join(f"{n},{','.join(map(str, BASELINE))}\n" for n in range(4))
        )
        found = {}
        for name, rescale in (("raw", False), ("rescaled", True)):
            parts = bert_score.score(
                candidates, references, model_type=folder, num_layers=layer, lang="en", idf=idf,
                rescale_with_baseline=rescale, baseline_path=str(table) if rescale else None,
                use_fast_tokenizer=True, device="cpu", nthreads=0,
            )  # fmt: skip
            found[name] = [[round(value, 7) for value in part.tolist()] for part in parts]
    return found


def main() -> None:
    with TemporaryDirectory() as made:
        folder = str(tiny_encoder(Path(made) / "encoder"))
        results = []
        for layer in LAYERS:
            for idf in (False, True):
                results.append({"layer": layer, "idf": idf, **scores(folder, layer, idf=idf)})
    text = json.dumps({"pairs": PAIRS, "baseline": BASELINE, "results": results})
    (Path(__file__).parent / "bert_score.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
