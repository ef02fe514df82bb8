package manpage

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/firmware/config"
)

var about = ParseAbout("v1.2.3", "1767225600")

// program has what a page can get wrong: dots at the beginning, backslashes, quotes, dashes, a table.
func program() *cobra.Command {
	root := &cobra.Command{Use: "cam", Short: "Plays", Long: `.hidden files and C:\temp are "played".
'quoted' words stay…

  a    one
  b    two
The end.`, Example: "  cam --rate 5 | tee 'a b'"}
	root.Annotations = map[string]string{WrongUse: "it was called or configured wrongly"}
	root.Flags().Int("rate", 7, "pictures a `SECOND`")
	root.Flags().String("secret", "", "")
	_ = root.Flags().MarkHidden("secret")
	show := &cobra.Command{Use: "show-it FILE", Short: "Shows a file", Run: func(*cobra.Command, []string) {}}
	show.Flags().BoolP("all", "a", false, "all\nof it")
	root.AddCommand(show, &cobra.Command{Use: "inner", Hidden: true, Run: show.Run}, Command(about))
	return root
}

// rendered gives a page as a terminal 80 columns wide shows it, and fails with every warning of troff.
func rendered(t *testing.T, page string) string {
	t.Helper()
	need.Tools(t, "groff")
	cmd := exec.Command("groff", "-man", "-ww", "-Tascii", "-P-c", "-P-bou", "-rLL=80n", page)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Errorf("%s: groff: %v: %s", page, err, stderr.Bytes())
	}
	return string(out)
}

func files(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestEveryVerbHasAPageThatSaysWhatItsHelpSays(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "man1")
	root := program()
	root.SetArgs([]string{"manual", folder})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	if got, want := files(t, folder), []string{"cam-show-it.1", "cam.1"}; !slices.Equal(got, want) {
		t.Errorf("pages %v, want %v", got, want)
	}
	for page, wants := range map[string][]string{
		"cam.1": {
			"\n       cam - Plays\n", "\n       .hidden files and C:\\temp are \"played\".",
			"'quoted' words stay...\n", "\n           a    one\n           b    two\n\n", " The end.\n",
			"\n       cam show-it FILE\n              Shows a file\n",
			"\n       --rate SECOND\n              pictures a SECOND (default 7)\n",
			"\n           cam --rate 5 | tee 'a b'\n", "cam-show-it(1), krazycam.json(5)\n",
			"krazycam v1.2.3", "2026-01-01", "2 it was called or configured\n",
		},
		"cam-show-it.1": {
			"\n       cam-show-it - Shows a file\n", "\n       cam show-it FILE [flags]\n",
			"\n       -a, --all\n              all of it\n", "cam(1), krazycam.json(5)\n",
			"2 it was called wrongly.",
		},
	} {
		text := rendered(t, filepath.Join(folder, page))
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q", page, want)
			}
		}
		if strings.Contains(text, "secret") || strings.Contains(text, "inner") {
			t.Errorf("%s shows what is hidden", page)
		}
		if t.Failed() {
			t.Log(text)
		}
	}
}

func TestPageOfSettingsHasEveryKey(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "man5")
	if err := Settings(folder, about); err != nil {
		t.Fatal(err)
	}
	text := rendered(t, filepath.Join(folder, "krazycam.json.5"))
	c := config.Default()
	for _, section := range c.Sections() {
		for _, s := range section.Settings {
			if !strings.Contains(text, "\n       "+section.Name+"."+s.Key+"\n") {
				t.Errorf("no entry for %s.%s", section.Name, s.Key)
			}
		}
	}
	if strings.Contains(text, "`") || strings.Contains(text, "](") {
		t.Error("Markdown is left in the page")
	}
	if !strings.Contains(text, "camsource bench --sizes") || !strings.Contains(text, "Takes: true or false.") {
		t.Errorf("no option, or not what a setting takes:\n%s", text)
	}
}

func TestPageWithoutABuildTimeHasNoDate(t *testing.T) {
	folder := t.TempDir()
	if err := Commands(program(), folder, ParseAbout("unknown", "")); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(folder, "cam.1"))
	if head, _, _ := strings.Cut(string(b), "\n"); err != nil ||
		head != `.TH "CAM" "1" "" "krazycam unknown" "krazycam"` {
		t.Errorf("head %q, %v", head, err)
	}
}

func TestFlagsOfAGroupStandUnderItsHeading(t *testing.T) {
	root := &cobra.Command{Use: "cam", Short: "Plays", Run: func(*cobra.Command, []string) {}}
	root.Flags().SortFlags = false
	for _, name := range []string{"zoom", "area", "listen"} {
		root.Flags().Int(name, 0, "of "+name)
	}
	for _, name := range []string{"zoom", "area"} {
		root.Flags().Lookup(name).Annotations = map[string][]string{Group: {"lens: what is seen"}}
	}
	root.Flags().Lookup("listen").Annotations = map[string][]string{Group: {"net: who may see it"}}
	folder := t.TempDir()
	if err := Commands(root, folder, about); err != nil {
		t.Fatal(err)
	}
	page := rendered(t, filepath.Join(folder, "cam.1"))
	var at []int
	for _, text := range []string{"lens: what is seen", "--zoom", "--area", "net: who may see it", "--listen"} {
		at = append(at, strings.Index(page, text))
	}
	if !slices.IsSorted(at) || at[0] < 0 || strings.Count(page, "lens:") != 1 {
		t.Errorf("headings and flags stand at %v:\n%s", at, page)
	}
}
