"""Turn a checkpoint into a bundle of ONNX graphs, tokenizer and manifest."""
