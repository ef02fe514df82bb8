# What `go test -json` said, for people: a line a package, all that failing and skipped tests printed,
# then FIGURE lines and one line COUNT passed failed skipped. Run with: jq -rnf scripts/test.jq
[inputs] as $all
| def tests($action): $all | map(select(.Test and .Action == $action) | "\(.Package) \(.Test)");
  def text: .Output | rtrimstr("\n");
  (tests("fail") + tests("skip") | map({key: ., value: true}) | from_entries) as $loud
| ($all | map(select(.Action == "fail" and .Test) | .Package) | unique) as $blamed
# A package can fail without a failing test: it does not build, panics, or exits.
| ($all | map(select(.Action == "fail" and (.Test | not) and .Package and (.Package | IN($blamed[]) | not)))) as $broken
| ($all[] | select((.Action == "output" and (.Test | not)) or .Action == "build-output") | text | select(test("no test files|^PASS$") | not)),
  ($all[] | select(.Action == "output" and .Test and $loud["\(.Package) \(.Test)"]) | "\(.Package | split("/") | last): \(text)"),
  ($all[] | select(.Action == "output") | .Output | capture("(?<f>FIGURE .*)") | .f),
  "COUNT \(tests("pass") | length) \((tests("fail") | length) + ($broken | length)) \(tests("skip") | length)"
