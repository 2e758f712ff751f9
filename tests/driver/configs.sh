# A config alone gives every size of a model: no file of weights is needed to compile it.
compile() { # MODEL CONFIG
  echo "$2" >config.json
  expect 0 "$SEQC" "$TESTS/golden/$1.seq" --config=config.json -o "$1.o"
}
has_parameter() { grep -qF "$2" "$1.o" || fail "$1.o has no parameter '$2'"; }

compile bert '{"vocab_size": 90, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 50, "type_vocab_size": 2,
  "max_position_embeddings": 40, "layer_norm_eps": 1e-12, "hidden_act": "gelu"}'
compile bart '{"vocab_size": 90, "d_model": 24, "encoder_layers": 3, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 3,
  "encoder_ffn_dim": 50, "decoder_ffn_dim": 60, "activation_function": "gelu", "scale_embedding": false, "max_position_embeddings": 40}'
compile marian '{"vocab_size": 90, "d_model": 24, "encoder_layers": 3, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 3,
  "encoder_ffn_dim": 50, "decoder_ffn_dim": 60, "activation_function": "swish", "scale_embedding": true}'

# The first T5 has a rectifier and shares its table with the head, version 1.1 neither.
t5='"vocab_size": 90, "d_model": 24, "num_layers": 3, "num_decoder_layers": 2, "num_heads": 3, "d_kv": 10, "d_ff": 50, "layer_norm_epsilon": 1e-6,
  "relative_attention_num_buckets": 16'
compile t5 "{$t5}"
has_parameter t5 DenseReluDense.wi.weight
! grep -qF lm_head t5.o || fail 'the first T5 has a head of its own'
compile t5 "{$t5, \"tie_word_embeddings\": false, \"is_gated_act\": true, \"dense_act_fn\": \"gelu_new\"}"
has_parameter t5 DenseReluDense.wi_1.weight
has_parameter t5 lm_head.weight
