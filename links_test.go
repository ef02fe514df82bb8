// Links between the pages of the tree lead somewhere.

package krazycam_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func TestLinksOfPagesResolve(t *testing.T) {
	for _, path := range textFiles(t) {
		if filepath.Ext(path) != ".md" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range pageLinks(string(text)) {
			if complaint := judgeLink(path, link); complaint != "" {
				t.Errorf("%s: link %s: %s", path, link, complaint)
			}
		}
	}
}

var (
	codeBlock  = regexp.MustCompile("(?ms)^```.*?^```")
	codeSpan   = regexp.MustCompile("`[^`\n]*`")
	pageLink   = regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"`)
	headline   = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	elsewhere  = regexp.MustCompile(`^[a-z]+:`)
	linkOfHead = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)
)

// pageLinks lists where the links and pictures of a page lead within the tree.
func pageLinks(text string) (links []string) {
	text = codeSpan.ReplaceAllString(codeBlock.ReplaceAllString(text, ""), "")
	for _, m := range pageLink.FindAllStringSubmatch(text, -1) {
		if link := m[1] + m[2]; !elsewhere.MatchString(link) {
			links = append(links, link)
		}
	}
	return links
}

// judgeLink says what is wrong with a link on the page at path, "" if nothing.
func judgeLink(path, link string) string {
	file, anchor, hasAnchor := strings.Cut(link, "#")
	target := path
	if file != "" {
		target = filepath.Join(filepath.Dir(path), file)
	}
	if _, err := os.Stat(target); err != nil {
		return err.Error()
	}
	if !hasAnchor {
		return ""
	}
	text, err := os.ReadFile(target)
	if err != nil {
		return err.Error()
	}
	if anchors := pageAnchors(string(text)); !slices.Contains(anchors, anchor) {
		return fmt.Sprintf("%s has no such headline, but %s", target, strings.Join(anchors, ", "))
	}
	return ""
}

// pageAnchors makes anchors of headlines as GitHub does.
func pageAnchors(text string) (anchors []string) {
	for _, m := range headline.FindAllStringSubmatch(codeBlock.ReplaceAllString(text, ""), -1) {
		words := linkOfHead.ReplaceAllString(strings.ToLower(m[1]), "$1")
		anchors = append(anchors, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return r
			}
			return -1
		}, words))
	}
	return anchors
}

func TestLinksAreFound(t *testing.T) {
	page := "# A *page*, of [links](b.md#x)\n[c](docs/c.md) <img src=\"d.svg\"> [e](https://e.example/)\n" +
		"`[f](f.md)`\n```\n[g](g.md)\n# no headline\n```\n"
	if got, want := strings.Join(pageLinks(page), " "), "b.md#x docs/c.md d.svg"; got != want {
		t.Errorf("pageLinks = %q, want %q", got, want)
	}
	if got, want := strings.Join(pageAnchors(page), " "), "a-page-of-links"; got != want {
		t.Errorf("pageAnchors = %q, want %q", got, want)
	}
	for link, want := range map[string]string{
		"README.md": "", "docs/encoder.md#threads": "", "#krazycam": "",
		"docs/none.md": "no such file", "README.md#none": "no such headline",
	} {
		got := judgeLink("README.md", link)
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("judgeLink of %s = %q, want %q", link, got, want)
		}
	}
}
