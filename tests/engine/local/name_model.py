"""A small model that marks names: a BERT without layers, whose weights are written by hand word by word."""

from __future__ import annotations

from pathlib import Path

LABELS = ["O", "B-PER", "I-PER", "B-LOC"]
_WORDS = {"ada": "B-PER", "grace": "B-PER", "lovelace": "I-PER", "hopper": "I-PER", "paris": "B-LOC"}
_OTHERS = ("who", "is", "and", "was", "in", "the", "not", "lady", "##s", ".", ",", "?", ":")


def write_name_model(folder: Path, *, positions: int = 64) -> Path:
    """Write the model; returns its folder.

    Args:
        folder: Where to write it.
        positions: Tokens that it reads at once.
    """
    import torch
    from transformers import BertConfig, BertForTokenClassification, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *_OTHERS, *_WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=True, model_max_length=positions)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=len(LABELS),
        num_hidden_layers=0,
        num_attention_heads=1,
        max_position_embeddings=positions,
        id2label=dict(enumerate(LABELS)),
        label2id={label: at for at, label in enumerate(LABELS)},
    )
    model = BertForTokenClassification(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        embeddings = model.bert.embeddings
        embeddings.LayerNorm.weight.fill_(1)
        for at, word in enumerate(vocabulary):
            embeddings.word_embeddings.weight[at, LABELS.index(_WORDS.get(word, "O"))] = 1
        model.classifier.weight.copy_(4 * torch.eye(len(LABELS)))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
