/* gguf2safetensors.c - a GGUF file as the checkpoint that it was made from: model.safetensors and config.json, with the public names.
 *
 *   gguf2safetensors [--dtype f32|bf16] FILE.gguf FOLDER
 *
 * Quantised weights become what they stand for, in float32 or rounded to bfloat16. Names follow the table below; what is not in it keeps its
 * own. For rotary embeddings that turn neighbouring elements GGUF reorders the rows of the query and key projections: in each
 * head, row 2i + s of the file is row i + s * width / 2 of the checkpoint. That is undone.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "seqrt/safetensors.h"
#include "tools/gguf.h"

const char *tool_name = "gguf2safetensors";

/* ---- the tables ---- */

typedef enum { ROWS_AS_THEY_ARE, ROWS_OF_QUERIES, ROWS_OF_KEYS } Rows;

/* "#" is the number of the layer. */
static const struct {
  const char *stored, *public;
  Rows rows;
} names[] = {
    {"token_embd.", "model.embed_tokens.", ROWS_AS_THEY_ARE},
    {"output_norm.", "model.norm.", ROWS_AS_THEY_ARE},
    {"output.", "lm_head.", ROWS_AS_THEY_ARE},
    {"blk.#.attn_norm.", "model.layers.#.input_layernorm.", ROWS_AS_THEY_ARE},
    {"blk.#.attn_q.", "model.layers.#.self_attn.q_proj.", ROWS_OF_QUERIES},
    {"blk.#.attn_k.", "model.layers.#.self_attn.k_proj.", ROWS_OF_KEYS},
    {"blk.#.attn_v.", "model.layers.#.self_attn.v_proj.", ROWS_AS_THEY_ARE},
    {"blk.#.attn_q_norm.", "model.layers.#.self_attn.q_norm.", ROWS_AS_THEY_ARE},
    {"blk.#.attn_k_norm.", "model.layers.#.self_attn.k_norm.", ROWS_AS_THEY_ARE},
    {"blk.#.attn_output.", "model.layers.#.self_attn.o_proj.", ROWS_AS_THEY_ARE},
    {"blk.#.ffn_norm.", "model.layers.#.post_attention_layernorm.", ROWS_AS_THEY_ARE},
    {"blk.#.ffn_gate.", "model.layers.#.mlp.gate_proj.", ROWS_AS_THEY_ARE},
    {"blk.#.ffn_up.", "model.layers.#.mlp.up_proj.", ROWS_AS_THEY_ARE},
    {"blk.#.ffn_down.", "model.layers.#.mlp.down_proj.", ROWS_AS_THEY_ARE},
};

/* Values of general.architecture whose rotary embedding turns neighbours, so that rows are reordered. */
static const char *const reordered[] = {"llama"};

/* Keys of the config, behind "ARCHITECTURE." unless the key has its own beginning. */
static const struct {
  const char *stored, *public;
} keys[] = {
    {"vocab_size", "vocab_size"},
    {"embedding_length", "hidden_size"},
    {"feed_forward_length", "intermediate_size"},
    {"block_count", "num_hidden_layers"},
    {"attention.head_count", "num_attention_heads"},
    {"attention.head_count_kv", "num_key_value_heads"},
    {"attention.key_length", "head_dim"},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps"},
    {"attention.layer_norm_epsilon", "layer_norm_eps"},
    {"attention.sliding_window", "sliding_window"},
    {"context_length", "max_position_embeddings"},
    {"rope.freq_base", "rope_theta"},
    {"tokenizer.ggml.bos_token_id", "bos_token_id"},
    {"tokenizer.ggml.eos_token_id", "eos_token_id"},
    {"tokenizer.ggml.padding_token_id", "pad_token_id"},
};

/* ---- the config ---- */

typedef struct Conversion {
  Arena *arena;
  Gguf gguf;
  const char *architecture;
  bool is_reordered, is_brain;
} Conversion;

static const GgufKey *find_key(const Conversion *conversion, const char *name) {
  bool is_whole = strncmp(name, "tokenizer.", 10) == 0 || strncmp(name, "general.", 8) == 0;
  return gguf_find(&conversion->gguf, is_whole ? name : arena_format(conversion->arena, "%s.%s", conversion->architecture, name));
}

/* NAN where the key is not there, or no number. */
static double number_of(const Conversion *conversion, const char *name) {
  const GgufKey *key = find_key(conversion, name);
  return key && key->type != GGUF_STRING && key->type != GGUF_ARRAY ? key->number : NAN;
}

/* The fewest digits that read back as the same number of the key's own precision. */
static const char *number_text(const Conversion *conversion, double number, bool is_single) {
  if (number == floor(number) && fabs(number) < 9e15) {
    if (is_single) return arena_format(conversion->arena, "%.1f", number);
    return arena_format(conversion->arena, "%.0f", number);
  }
  const char *text = "";
  for (int digits = 1; digits <= 17; digits++) {
    text = arena_format(conversion->arena, "%.*g", digits, number);
    if (is_single ? strtof(text, NULL) == (float)number : strtod(text, NULL) == number) break;
  }
  return text;
}

static void put_number(const Conversion *conversion, FILE *file, const char *name, double number, bool is_single) {
  if (isfinite(number)) fprintf(file, ",\n  \"%s\": %s", name, number_text(conversion, number, is_single));
}

static void put_string(FILE *file, const char *text) {
  fputc('"', file);
  for (; *text; text++) {
    if (*text == '"' || *text == '\\') fputc('\\', file);
    if ((unsigned char)*text >= 0x20) fputc(*text, file);
  }
  fputc('"', file);
}

static double head_width(const Conversion *conversion) {
  double width = number_of(conversion, "attention.key_length");
  if (isfinite(width)) return width;
  return number_of(conversion, "embedding_length") / number_of(conversion, "attention.head_count");
}

static void write_config(const Conversion *conversion, const char *path) {
  FILE *file = fopen(path, "w");
  if (!file) tool_fail(path, "cannot be written");
  fputs("{\n  \"model_type\": ", file);
  put_string(file, conversion->architecture);
  for (size_t n = 0; n < sizeof keys / sizeof keys[0]; n++) {
    const GgufKey *key = find_key(conversion, keys[n].stored);
    put_number(conversion, file, keys[n].public, number_of(conversion, keys[n].stored), key && key->type == GGUF_F32);
  }
  const GgufTensor *embedding = gguf_find_tensor(&conversion->gguf, "token_embd.weight");
  if (embedding && !find_key(conversion, "vocab_size"))
    put_number(conversion, file, "vocab_size", (double)embedding->shape[0], false);
  if (!find_key(conversion, "attention.head_count_kv"))
    put_number(conversion, file, "num_key_value_heads", number_of(conversion, "attention.head_count"), false);
  if (!find_key(conversion, "attention.key_length")) put_number(conversion, file, "head_dim", head_width(conversion), false);
  fprintf(file, ",\n  \"tie_word_embeddings\": %s\n}\n", gguf_find_tensor(&conversion->gguf, "output.weight") ? "false" : "true");
  if (fflush(file) != 0 || ferror(file)) tool_fail(path, "cannot be written");
  fclose(file);
}

/* ---- the tensors ---- */

/* Behind the row's pattern, or NULL; `out_layer` is where "#" stands. */
static const char *match(const char *pattern, const char *name, const char **out_layer, int *out_length) {
  for (; *pattern; pattern++) {
    if (*pattern == '#') {
      *out_layer = name;
      while (*name >= '0' && *name <= '9') name++;
      *out_length = (int)(name - *out_layer);
      if (*out_length == 0) return NULL;
    } else if (*pattern != *name++) {
      return NULL;
    }
  }
  return name;
}

static const char *public_name(const Conversion *conversion, const char *stored, Rows *out_rows) {
  *out_rows = ROWS_AS_THEY_ARE;
  for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
    const char *layer = NULL;
    int length = 0;
    const char *rest = match(names[n].stored, stored, &layer, &length);
    if (!rest) continue;
    *out_rows = names[n].rows;
    const char *place = strchr(names[n].public, '#');
    if (!place) return arena_format(conversion->arena, "%s%s", names[n].public, rest);
    return arena_format(conversion->arena, "%.*s%.*s%s%s", (int)(place - names[n].public), names[n].public, length, layer,
                        place + 1, rest);
  }
  fprintf(stderr, "%s: '%s' keeps its name: it is in no table\n", tool_name, stored);
  return stored;
}

static uint64_t head_count(const Conversion *conversion, Rows rows) {
  double heads = number_of(conversion, "attention.head_count"), shared = number_of(conversion, "attention.head_count_kv");
  if (rows == ROWS_OF_KEYS && isfinite(shared)) heads = shared;
  return heads >= 1 && heads < 1e6 ? (uint64_t)heads : 0;
}

static float *restore_rows(const Conversion *conversion, const GgufTensor *tensor, Rows rows, const float *values) {
  uint64_t heads = head_count(conversion, rows), count = tensor->rank ? tensor->shape[0] : 1;
  if (heads == 0 || count % (2 * heads))
    tool_fail(conversion->gguf.path, "'%s' has %" PRIu64 " rows, which are no even number for each of %" PRIu64 " heads",
              tensor->name, count, heads);
  uint64_t half = count / heads / 2, size = tensor->elements / count;
  float *restored = ARENA_ARRAY(conversion->arena, float, tensor->elements);
  for (uint64_t head = 0; head < heads; head++)
    for (uint64_t i = 0; i < half; i++)
      for (uint64_t s = 0; s < 2; s++)
        memcpy(restored + (head * 2 * half + i + s * half) * size, values + (head * 2 * half + 2 * i + s) * size,
               size * sizeof(float));
  return restored;
}

/* To nearest, ties to even; a nan stays one. */
static uint16_t round_to_brain(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if (isnan(value)) return (uint16_t)(bits >> 16 | 64);
  return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static seqrt_stored_tensor convert(const Conversion *conversion, const GgufTensor *tensor) {
  Rows rows;
  const char *name = public_name(conversion, tensor->name, &rows);
  float *values = ARENA_ARRAY(conversion->arena, float, tensor->elements);
  gguf_dequantise(tensor, values);
  if (conversion->is_reordered && rows != ROWS_AS_THEY_ARE && tensor->elements)
    values = restore_rows(conversion, tensor, rows, values);
  int64_t *shape = ARENA_ARRAY(conversion->arena, int64_t, tensor->rank);
  for (int axis = 0; axis < tensor->rank; axis++) shape[axis] = (int64_t)tensor->shape[axis];
  seqrt_stored_tensor stored = {.name = name, .dtype = SEQRT_STORED_F32, .rank = tensor->rank, .shape = shape, .data = values};
  if (!conversion->is_brain) return stored;
  uint16_t *brain = ARENA_ARRAY(conversion->arena, uint16_t, tensor->elements);
  for (uint64_t n = 0; n < tensor->elements; n++) brain[n] = round_to_brain(values[n]);
  stored.dtype = SEQRT_STORED_BF16;
  stored.data = brain;
  return stored;
}

static int convert_all(Conversion *conversion, const char *path, const char *folder) {
  Arena *arena = conversion->arena;
  conversion->gguf = gguf_read(arena, path);
  const GgufKey *architecture = gguf_find(&conversion->gguf, "general.architecture");
  if (!architecture || architecture->type != GGUF_STRING) tool_fail(path, "the key general.architecture is missing");
  conversion->architecture = architecture->text;
  for (size_t n = 0; n < sizeof reordered / sizeof reordered[0]; n++)
    conversion->is_reordered |= strcmp(reordered[n], architecture->text) == 0;
  int count = conversion->gguf.tensor_count;
  seqrt_stored_tensor *tensors = ARENA_ARRAY(arena, seqrt_stored_tensor, count);
  for (int n = 0; n < count; n++) tensors[n] = convert(conversion, &conversion->gguf.tensors[n]);
  const char *weights = arena_format(arena, "%s/model.safetensors", folder);
  make_folder(weights);
  seqrt_error error;
  if (seqrt_safetensors_save(weights, tensors, count, NULL, 0, &error) != SEQRT_OK) tool_fail(NULL, "%s", error.message);
  write_config(conversion, arena_format(arena, "%s/config.json", folder));
  printf("%s: %d tensors\n", weights, count);
  return 0;
}

int main(int argument_count, char **arguments) {
  Conversion conversion = {.arena = arena_create()};
  int first = 1;
  if (argument_count > 2 && strcmp(arguments[1], "--dtype") == 0) {
    conversion.is_brain = strcmp(arguments[2], "bf16") == 0;
    first = conversion.is_brain || strcmp(arguments[2], "f32") == 0 ? 3 : argument_count;
  }
  if (argument_count - first != 2 || arguments[first][0] == '-') {
    fputs("usage: gguf2safetensors [--dtype f32|bf16] FILE.gguf FOLDER\n", stderr);
    arena_destroy(conversion.arena);
    return 2;
  }
  int code = convert_all(&conversion, arguments[first], arguments[first + 1]);
  arena_destroy(conversion.arena);
  return code;
}
