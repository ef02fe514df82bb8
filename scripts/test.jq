# Turns the output of `go test -json` into text. Run with: jq -rnf scripts/test.jq
#
#   a line for each package, and all that failed and skipped tests printed
#   FIGURE …                      what tests measured
#   FAILED PACKAGE TEST ENTRIES   a failed test and how many entries of COUNT it stands for, with its
#                                 subtests; TEST is - for a whole package: it did not build, or ended
#                                 early (panic, time-out), so that tests behind the failed one did not run
#   COUNT PASSED FAILED SKIPPED   subtests count, too
[inputs] as $all
| def tests($action): $all | map(select(.Test and .Action == $action) | "\(.Package) \(.Test)");
  def text: .Output | rtrimstr("\n");
  (tests("fail") + tests("skip") | map({key: ., value: true}) | from_entries) as $loud
| ($all | map(select(.Action == "output" and (.Output | test("^(panic|fatal error): "))) | .Package) | unique) as $early
| ($all | map(select(.Action == "fail" and .Test)
        | {p: .Package, t: (if .Package | IN($early[]) then "-" else .Test | split("/") | first end)})
        | group_by([.p, .t]) | map({p: .[0].p, t: .[0].t, n: length})) as $failed
| ($all | map(select(.Action == "fail" and (.Test | not) and .Package
        and (.Package | IN($failed[].p) | not)) | {p: .Package, t: "-", n: 1})) as $broken
| ($all[] | select((.Action == "output" and (.Test | not)) or .Action == "build-output")
        | text | select(test("no test files|^PASS$") | not)),
  ($all[] | select(.Action == "output" and .Test and $loud["\(.Package) \(.Test)"])
        | "\(.Package | split("/") | last): \(text)"),
  ($all[] | select(.Action == "output") | .Output | capture("(?<f>FIGURE .*)") | .f),
  ($failed + $broken | .[] | "FAILED \(.p) \(.t) \(.n)"),
  "COUNT \(tests("pass") | length) \($failed + $broken | map(.n) | add // 0) \(tests("skip") | length)"
