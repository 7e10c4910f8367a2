"""CLIP and SigLIP checkpoints with random weights, saved the way published ones are.

Needs torch and transformers; the CLIP tokenizer is the real one, its vocabulary read from the
`open_clip_torch` package, whose code is not imported.
"""

import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

SMALL = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


def make_clip(folder: Path, *, activation: str = "quick_gelu", full_size: bool = False) -> Path:
    """A random CLIP in `folder`; `full_size` is ViT-B/32, else a tiny one with 32 x 32 input."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    shape, edge = ({}, 224) if full_size else (SMALL, 32)
    tower = {**shape, "hidden_act": activation}
    torch.manual_seed(0)
    model = CLIPModel(
        CLIPConfig(
            text_config={**tower, "bos_token_id": 49406, "eos_token_id": 49407},
            vision_config={**tower, "image_size": edge, "patch_size": 32 if full_size else 8},
            projection_dim=512 if full_size else 32,
        )
    )
    _spread(model)
    model.save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": edge}, crop_size=edge).save_pretrained(folder)
    save_clip_tokenizer(folder)
    return folder


def make_siglip(folder: Path) -> Path:
    """A random tiny SigLIP in `folder`, with a word-level tokenizer that lower-cases."""
    import torch
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel

    torch.manual_seed(0)
    text = {**SMALL, "vocab_size": 100, "max_position_embeddings": 64}
    text |= {"pad_token_id": 1, "bos_token_id": None, "eos_token_id": 1}
    model = SiglipModel(
        SiglipConfig(text_config=text, vision_config={**SMALL, "image_size": 32, "patch_size": 8})
    )
    _spread(model)
    model.save_pretrained(folder)
    SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    _save_word_tokenizer(folder)
    return folder


def _spread(model: Any) -> None:
    """Gives the scalars a value that is not their initial one, so that reading either shows."""
    import torch

    with torch.no_grad():
        model.logit_scale.fill_(3.5)
        if hasattr(model, "logit_bias"):
            model.logit_bias.fill_(-7.25)


def save_clip_tokenizer(folder: Path) -> None:
    """CLIP's own tokenizer, in every file a checkpoint brings."""
    from transformers import CLIPTokenizerFast
    from transformers.models.clip.tokenization_clip import bytes_to_unicode

    spec = importlib.util.find_spec("open_clip")
    assert spec is not None and spec.submodule_search_locations
    packed = Path(spec.submodule_search_locations[0]) / "bpe_simple_vocab_16e6.txt.gz"
    lines = gzip.decompress(packed.read_bytes()).decode().split("\n")
    merges = lines[1 : 49152 - 256 - 2 + 1]
    letters = list(bytes_to_unicode().values())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    tokens += ["".join(merge.split()) for merge in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, rules = folder / "vocab.json", folder / "merges.txt"
    vocabulary.write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    rules.write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
    CLIPTokenizerFast(str(vocabulary), str(rules)).save_pretrained(folder)


def _save_word_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["<unk>", "</s>", "a", "photo", "of", "the", "bird", "blue", "jay", "cat", "robin"]
    tokenizer = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        pad_token="</s>",
        eos_token="</s>",
        model_max_length=64,
    ).save_pretrained(folder)
