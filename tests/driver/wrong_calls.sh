# A wrong call ends with 2 and says what is wrong; an unknown word gets the nearest one that exists.
write_model model.seq
wrong() { # MESSAGE ARGUMENT...
  local message=$1
  shift
  expect 2 "$SEQC" "$@"
  says "$message"
}
wrong 'no model file given'
wrong "unknown option '--verison'; did you mean '--version'?" --verison
wrong "unknown option '--dmup'; did you mean '--dump'?" --dmup=all model.seq
wrong "unknown option '--zzzzzzzzzzzz'" --zzzzzzzzzzzz
wrong "unknown option '-Q'" -Q model.seq
wrong "'-o' needs an argument" model.seq -o
wrong "'--target' needs an argument" --target= model.seq
wrong "'-O' needs a number from 0 to 3, found '7'" -O7 model.seq
wrong "-D needs NAME=VALUE, found 'D'" -D D model.seq
wrong "unknown kind 'object'; did you mean 'obj'?" --emit=object model.seq
wrong "there is no pass 'nothing'" --dump=nothing model.seq
wrong "there is no pass 'all'" --stop-after=all model.seq
wrong "unknown topic 'me'" --help=me
wrong "--packed: unknown type 'f16'; there are f32, bf16 and int8" --packed=f16
wrong "one model at a time: 'model.seq' and 'other.seq'" model.seq other.seq
wrong '--check takes --weights only with --against FILE' --check --weights x model.seq
wrong '--seed is for --check without --against' --seed 2 model.seq
wrong "'--seed' needs a number from 1" --check --seed=0 model.seq
wrong '--check and --explain are two runs' --check --explain model.seq
wrong '--explain writes no file' --explain model.seq -o model.txt
wrong '--against is for --check' --against x.safetensors model.seq
wrong '--threads is for --check' --threads 2 model.seq
wrong "'--threads' needs a number from 1" --check --against x --threads zwei model.seq
wrong '-MF and -MT need -M or -MD' -MF model.d model.seq
wrong 'goes to standard output' --emit=asm,llvm -o - model.seq
wrong "nosuchcpu" --cpu=nosuchcpu model.seq
wrong "nosuchtarget" --target=nosuchtarget model.seq
[ ! -e model.o ] || fail 'a wrong call wrote a file'
