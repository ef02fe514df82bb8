// What pages quote is what the programs write, and the tests that pages name exist.

package krazycam_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// notOurWords are what no program of ours writes: an errno, a loader's output, a command.
var notOurWords = []string{"network is unreachable", "CCCC", "camctl receive"}

func TestPagesQuoteThePrograms(t *testing.T) {
	written := programTexts(t)
	for page, least := range map[string]int{"docs/troubleshooting.md": 50, "docs/updates.md": 10} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		quotes := firstCellQuotes(string(text))
		if len(quotes) < least {
			t.Errorf("%s: found %d quotes, want more: has its form changed?", page, len(quotes))
		}
		for _, quote := range quotes {
			if strings.HasPrefix(quote, "--") { // a flag
				continue
			}
			for _, part := range quoteParts(quote) {
				if !strings.Contains(written, part) {
					t.Errorf("%s quotes %q, and no program says %q", page, quote, part)
				}
			}
		}
	}
}

// firstCellQuotes are the code spans in the first cell of each row of a page's tables.
func firstCellQuotes(text string) (quotes []string) {
	span := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(codeBlock.ReplaceAllString(text, "")) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || strings.TrimSpace(cells[0]) != "" {
			continue
		}
		for _, m := range span.FindAllStringSubmatch(cells[1], -1) {
			quotes = append(quotes, m[1])
		}
	}
	return quotes
}

// quoteParts are what a program must say for a quote to be true: … stands for whatever comes,
// and key= for the key of a log line.
func quoteParts(quote string) (parts []string) {
	for _, other := range notOurWords {
		if strings.Contains(quote, other) {
			return nil
		}
	}
	for part := range strings.SplitSeq(quote, "…") {
		part = strings.TrimSpace(part)
		if key, isKey := strings.CutSuffix(part, "="); isKey {
			_, key, _ = strings.Cut("."+key, ".") // of a group: cuts.queue
			part = key[strings.LastIndex(key, ".")+1:]
		}
		if key, value, isPair := strings.Cut(part, "="); isPair && !strings.Contains(key, " ") {
			parts = append(parts, value) // such as seed=refused
			part = key
		}
		if part = strings.Trim(part, `" ,`); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// programTexts has the string constants of all programs, those that are added up as one, each on
// a line of its own.
func programTexts(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, path := range textFiles(t) {
		if !isSource(path) {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			text, ok := constantText(e)
			if ok {
				all.WriteString(text + "\n")
			}
			return !ok
		})
	}
	return all.String()
}

// constantText is the text of a string literal, or of several that are added up.
func constantText(e ast.Expr) (text string, ok bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		left, isLeft := constantText(e.X)
		right, isRight := constantText(e.Y)
		return left + right, e.Op == token.ADD && isLeft && isRight
	}
	return "", false
}

func TestPagesNameTestsThatExist(t *testing.T) {
	tests := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	named := regexp.MustCompile("`(Test\\w+)`")
	for _, path := range textFiles(t) {
		if !strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			tests[m[1]] = true
		}
	}
	for _, path := range textFiles(t) {
		if filepath.Ext(path) != ".md" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			if !tests[m[1]] {
				t.Errorf("%s names %s, which is not a test", path, m[1])
			}
		}
	}
}
