# tools/models-table: a row of docs/models.md is what --explain and --check say of the model.
expect 0 "$TESTS/../tools/models-table" gru linear_attention lru
prints '| [gru](../tests/golden/gru.seq) | Cho et al. 2014 | nonlinear |'
prints '| [linear_attention](../tests/golden/linear_attention.seq) | Katharopoulos et al. 2020 | scalar, constant in time |'
prints '| [lru](../tests/golden/lru.seq) | Orvieto et al. 2023 | complex diagonal, constant in time |'
[ "$(grep -cE '\| [0-9]+ \| [0-9]\.[0-9]e-[0-9]+ \| [0-9]\.[0-9]e-[0-9]+ \|$' out)" = 3 ] || fail 'a row lacks its state or its errors'
