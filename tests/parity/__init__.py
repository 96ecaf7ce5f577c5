"""The same thing computed in two ways is the same: cached, batched, ONNX, PyTorch."""
