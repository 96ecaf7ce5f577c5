"""PyTorch's own layers with the weights of ours: an independent second opinion.

Masks there say True = ignore.
"""

import torch
from torch import nn

from model.attention import MultiHeadAttention
from model.layers import AddNorm, DecoderLayer, EncoderLayer, FeedForward, LayerNorm


def scramble(module: nn.Module) -> None:
    """Random gains and biases, so that one left out or taken twice is seen."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)


@torch.no_grad()
def copy_attention(ours: MultiHeadAttention, theirs: nn.MultiheadAttention) -> None:
    """Pack the weights of `ours` as `theirs` keeps them."""
    theirs.in_proj_weight.copy_(torch.cat((ours.to_query.weight, ours.to_key_value.weight)))
    theirs.in_proj_bias.copy_(torch.cat((ours.to_query.bias, ours.to_key_value.bias)))
    theirs.out_proj.load_state_dict(ours.to_output.state_dict())


def copy_norm(ours: LayerNorm, theirs: nn.LayerNorm) -> None:
    theirs.load_state_dict({"weight": ours.gain, "bias": ours.bias})


def copy_encoder_layer(ours: EncoderLayer) -> nn.TransformerEncoderLayer:
    """Scramble `ours`, and build its twin."""
    scramble(ours)
    widen = ours.feed_forward.widen
    theirs = nn.TransformerEncoderLayer(
        widen.in_features,
        ours.self_attention.num_heads,
        widen.out_features,
        dropout=0.0,
        norm_first=ours.feed_forward_frame.is_pre,
        batch_first=True,
        dtype=widen.weight.dtype,
    )
    copy_attention(ours.self_attention, theirs.self_attn)
    copy_norm(ours.self_attention_frame.norm, theirs.norm1)
    copy_norm(ours.feed_forward_frame.norm, theirs.norm2)
    _copy_feed_forward(ours.feed_forward, theirs)
    return theirs


def copy_decoder_layer(ours: DecoderLayer) -> nn.TransformerDecoderLayer:
    """Scramble `ours`, and build its twin."""
    scramble(ours)
    widen = ours.feed_forward.widen
    theirs = nn.TransformerDecoderLayer(
        widen.in_features,
        ours.self_attention.num_heads,
        widen.out_features,
        dropout=0.0,
        norm_first=ours.feed_forward_frame.is_pre,
        batch_first=True,
        dtype=widen.weight.dtype,
    )
    copy_attention(ours.self_attention, theirs.self_attn)
    copy_attention(ours.cross_attention, theirs.multihead_attn)
    frames: tuple[AddNorm, ...] = (
        ours.self_attention_frame,
        ours.cross_attention_frame,
        ours.feed_forward_frame,
    )
    for frame, norm in zip(frames, (theirs.norm1, theirs.norm2, theirs.norm3), strict=True):
        copy_norm(frame.norm, norm)
    _copy_feed_forward(ours.feed_forward, theirs)
    return theirs


def _copy_feed_forward(
    ours: FeedForward, theirs: nn.TransformerEncoderLayer | nn.TransformerDecoderLayer
) -> None:
    theirs.linear1.load_state_dict(ours.widen.state_dict())
    theirs.linear2.load_state_dict(ours.narrow.state_dict())
