/* status.c - codes and faults as sentences. */
#include "seqrt/status.h"

#include <inttypes.h>
#include <string.h>

#include "runtime/internal.h"

enum { MAX_RANK_SHOWN = 16 };

const char *seqrt_code_text(seqrt_code code) {
  switch (code) {
  case SEQRT_OK: return "ok";
  case SEQRT_INVALID_ARGUMENT: return "invalid argument";
  case SEQRT_OUT_OF_RANGE: return "value out of range";
  case SEQRT_NO_STEP: return "the model has no step";
  case SEQRT_POSITION: return "position out of reach";
  case SEQRT_VERSION: return "another version";
  case SEQRT_OUT_OF_MEMORY: return "out of memory";
  case SEQRT_IO: return "file cannot be read or written";
  case SEQRT_FORMAT: return "malformed file";
  case SEQRT_MISMATCH: return "belongs to another model";
  case SEQRT_CANCELLED: return "cancelled";
  }
  return "unknown code";
}

seqrt_code runtime_fail(seqrt_error *error, seqrt_code code, const char *format, ...) {
  if (!error) return code;
  error->code = code;
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(error->message, sizeof error->message, format, arguments);
  va_end(arguments);
  if (length < 0) error->message[0] = '\0';
  if (length >= (int)sizeof error->message) memcpy(error->message + sizeof error->message - 4, "...", 4);
  return code;
}

seqrt_code runtime_fail_memory(seqrt_error *error, const char *what, int64_t bytes) {
  if (bytes < 0) return runtime_fail(error, SEQRT_OUT_OF_MEMORY, "%s: the size does not fit into memory", what);
  return runtime_fail(error, SEQRT_OUT_OF_MEMORY, "%s: no memory for %" PRId64 " bytes", what, bytes);
}

/* ---- several findings, one message ---- */

void findings_add(Findings *findings, const char *format, ...) {
  findings->count++;
  size_t room = sizeof findings->text - findings->length;
  char *end = findings->text + findings->length;
  int separator = snprintf(end, room, "%s", findings->shown ? "; " : "");
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(end + separator, (size_t)separator < room ? room - (size_t)separator : 0, format, arguments);
  va_end(arguments);
  if (length < 0 || (size_t)separator + (size_t)length >= room - 32) {
    *end = '\0'; /* does not fit with room for the count: only counted */
    return;
  }
  findings->length += (size_t)separator + (size_t)length;
  findings->shown++;
}

seqrt_code findings_fail(const Findings *findings, seqrt_error *error, seqrt_code code, const char *subject) {
  int64_t hidden = findings->count - findings->shown;
  if (!hidden) return runtime_fail(error, code, "%.200s: %s", subject, findings->text);
  return runtime_fail(error, code, "%.40s: %.940s%sand %" PRId64 " more", subject, findings->text, findings->shown ? "; " : "",
                      hidden);
}

/* ---- faults of compiled code ---- */

static const char *argument_text(int32_t argument) {
  switch (argument) {
  case SEQRT_ARGUMENT_PARAMETERS: return "parameter";
  case SEQRT_ARGUMENT_INPUT: return "input";
  case SEQRT_ARGUMENT_OUTPUT: return "output";
  case SEQRT_ARGUMENT_STATE: return "state";
  case SEQRT_ARGUMENT_COTANGENT: return "cotangent";
  case SEQRT_ARGUMENT_WORKSPACE: return "workspace";
  case SEQRT_ARGUMENT_BATCH: return "batch";
  case SEQRT_ARGUMENT_LENGTH: return "length";
  case SEQRT_ARGUMENT_CAPACITY: return "capacity";
  case SEQRT_ARGUMENT_PACKED: return "packed";
  default: return "call";
  }
}

static const seqrt_tensor *find_tensor(const seqrt_model *model, int32_t argument, int32_t index) {
  if (index < 0) return NULL;
  if (argument == SEQRT_ARGUMENT_INPUT) return index < model->input_count ? &model->inputs[index] : NULL;
  if (argument == SEQRT_ARGUMENT_STATE) return index < model->state_count ? &model->states[index] : NULL;
  bool is_output = argument == SEQRT_ARGUMENT_OUTPUT || argument == SEQRT_ARGUMENT_COTANGENT;
  return is_output && index < model->output_count ? &model->outputs[index] : NULL;
}

static const char *find_name(const seqrt_model *model, const seqrt_fault *fault) {
  const seqrt_tensor *tensor = find_tensor(model, fault->argument, fault->index);
  if (tensor) return tensor->name;
  if (fault->index < 0) return NULL;
  if (fault->argument == SEQRT_ARGUMENT_LENGTH && fault->index < model->length_count) return model->length_names[fault->index];
  if (fault->argument != SEQRT_ARGUMENT_PARAMETERS) return NULL;
  for (int32_t i = 0; i < model->parameter_count; i++) {
    const seqrt_parameter *parameter = &model->parameters[i];
    int32_t slots = parameter->turns ? parameter->turns : 1;
    if (fault->index >= parameter->first_slot && fault->index < parameter->first_slot + slots) return parameter->name;
  }
  return NULL;
}

/* "row 3, step 17": the axes of the element, outermost first, those that are neither batch nor stream as "axis N". */
static void format_place(const seqrt_tensor *tensor, const seqrt_call *call, int64_t element, char *out_text, size_t size) {
  out_text[0] = '\0';
  int64_t indices[MAX_RANK_SHOWN];
  if (tensor->rank > MAX_RANK_SHOWN) return;
  for (int32_t axis = tensor->rank - 1; axis >= 0; axis--) {
    int64_t extent = runtime_elements(&tensor->shape[axis], 1, call->batch, call->lengths);
    if (extent < 1) return;
    indices[axis] = element % extent;
    element /= extent;
  }
  size_t length = 0;
  for (int32_t axis = 0; axis < tensor->rank && length < size; axis++) {
    const char *what = tensor->shape[axis] == SEQRT_AXIS_BATCH       ? "row"
                       : tensor->shape[axis] == SEQRT_AXIS_LENGTH(0) ? "step"
                                                                     : "index";
    int written = snprintf(out_text + length, size - length, ", %s %" PRId64, what, indices[axis]);
    length += written > 0 ? (size_t)written : 0;
  }
}

static seqrt_code describe_range(const seqrt_model *model, const seqrt_call *call, const char *subject, seqrt_error *error) {
  const seqrt_fault *fault = &call->fault;
  const seqrt_tensor *tensor = find_tensor(model, fault->argument, fault->index);
  char place[200] = "";
  if (tensor && fault->element >= 0) format_place(tensor, call, fault->element, place, sizeof place);
  return runtime_fail(error, SEQRT_OUT_OF_RANGE, "%s%s: value %" PRId64 " is outside %" PRId64 " <= v < %" PRId64, subject, place,
                      fault->value, fault->low, fault->high);
}

seqrt_code seqrt_describe_fault(const seqrt_model *model, const seqrt_call *call, seqrt_error *error) {
  const seqrt_fault *fault = &call->fault;
  seqrt_code code = (seqrt_code)fault->code;
  const char *kind = argument_text(fault->argument), *name = find_name(model, fault);
  char subject[300];
  if (name) snprintf(subject, sizeof subject, "%s '%s'", kind, name);
  else if (fault->index >= 0) snprintf(subject, sizeof subject, "%s %" PRId32, kind, fault->index);
  else snprintf(subject, sizeof subject, "%s", kind);
  bool is_size = fault->argument == SEQRT_ARGUMENT_BATCH || fault->argument == SEQRT_ARGUMENT_LENGTH;
  switch (code) {
  case SEQRT_OUT_OF_RANGE: return describe_range(model, call, subject, error);
  case SEQRT_INVALID_ARGUMENT:
    if (is_size) return runtime_fail(error, code, "%s: %" PRId64 " is not a possible size", subject, fault->value);
    if (fault->argument == SEQRT_ARGUMENT_CAPACITY)
      return runtime_fail(error, code, "capacity: %" PRId64 ", expected 0 or more, and that of the state where it stays in its place", call->capacity);
    if (fault->argument == SEQRT_ARGUMENT_NONE)
      return runtime_fail(error, code, "model '%s': the call cannot be made", model->name);
    return runtime_fail(error, code, "%s: missing, or where none may be given", subject);
  case SEQRT_NO_STEP:
    return runtime_fail(error, code, "model '%s' has no step: %s", model->name,
                        model->why_no_step ? model->why_no_step : "it has no state");
  case SEQRT_POSITION:
    if (fault->argument == SEQRT_ARGUMENT_CAPACITY)
      return runtime_fail(error, code, "model '%s' keeps all steps: the call ends at step %" PRId64 ", but there is room for %" PRId64,
                          model->name, fault->value, fault->high);
    if (fault->argument == SEQRT_ARGUMENT_LENGTH)
      return runtime_fail(error, code, "%s: the call ends at %" PRId64 ", but a table that is read along it at %" PRId64, subject, fault->value,
                          fault->high);
    return runtime_fail(error, code, "%s: position %" PRId64 " is outside %" PRId64 " <= position < %" PRId64, subject,
                        fault->value, fault->low, fault->high);
  case SEQRT_VERSION:
    return runtime_fail(error, code, "model '%s' follows version %" PRIu32 " of the interface, the caller %" PRIu32, model->name,
                        model->abi_version, call->abi_version);
  case SEQRT_MISMATCH:
    if (fault->argument == SEQRT_ARGUMENT_LENGTH)
      return runtime_fail(error, code, "%s: another than at the first step, and the state keeps what depends on it", subject);
    return runtime_fail(error, code, "%s: made by another model than '%s'", subject, model->name);
  default: return runtime_fail(error, code, "model '%s', %s: %s", model->name, subject, seqrt_code_text(code));
  }
}
