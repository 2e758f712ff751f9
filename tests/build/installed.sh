# An installed seqc serves a project outside of the tree: through CMake, through pkg-config, and with nothing left of the build folder.
prefix=$PWD/prefix
"$CMAKE" --install "$BUILD" --prefix "$prefix" >log || { cat log; fail 'installation'; }
[ -x "$prefix/bin/seqc" ] && [ -e "$prefix/share/man/man1/seqc.1" ] || fail 'the compiler or its man page is not installed'
! grep -rIl "$BUILD" "$prefix" || fail 'the installed files name the build folder'

cp -r "$TESTS/install" outside
build() { "$CMAKE" --build outside/build >log 2>&1 || { cat log; fail 'building the project'; }; }
"$CMAKE" -S outside -B outside/build -DCMAKE_PREFIX_PATH="$prefix" >log 2>&1 || { cat log; fail 'configuring the project'; }
build
expect 0 outside/build/outside
prints '0 1.75 3.5 5.25'

# A changed import compiles the model again, and nothing changed compiles nothing.
echo 'function half(a) = a / 4' >outside/half.seq
touch -d '+2 seconds' outside/half.seq
build
expect 0 outside/build/outside
prints '0 0.875 1.75 2.625'
touch -d '-1 hour' outside/half.seq
build
build
! grep -q 'Compiling model' log || fail 'compiled again without a change'

# The example is such a project too.
if [ -e "$TESTS/../examples/char_lm/main.c" ]; then
  "$CMAKE" -S "$TESTS/../examples/char_lm" -B example -DCMAKE_PREFIX_PATH="$prefix" >log 2>&1 || { cat log; fail 'configuring the example'; }
  "$CMAKE" --build example >log 2>&1 || { cat log; fail 'building the example'; }
  [ -x example/char_lm ] || fail 'no example'
fi

# Without CMake.
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name seqrt.pc)")
export PKG_CONFIG_PATH
compiler=$(pkg-config --variable=compiler seqc)
"$compiler" -D D=4 outside/smooth.seq -o smooth.o
# shellcheck disable=SC2046
"$CC" -std=gnu11 -Wall -Wextra -Werror -I. outside/main.c smooth.o $(pkg-config --cflags --libs seqrt) -o by_hand
expect 0 env LD_LIBRARY_PATH="$(dirname "$PKG_CONFIG_PATH")" ./by_hand
prints '0 0.875 1.75 2.625'
# The header is C++ too, and the library knows the standard library of models.
if command -v g++ >/dev/null; then g++ -Wall -Wextra -Werror -fsyntax-only -I. -I"$prefix/include" -x c++ smooth.h; fi
