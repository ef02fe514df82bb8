// What camctl flash asks about the gateway.

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/firmware/config"
)

// gatewayFlags make a seed without a file.
type gatewayFlags struct {
	url, key, keyFile string
	allowHTTP         bool
}

func (g *gatewayFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&g.url, "gateway", "", "`URL` of the gateway, for a seed without a file")
	f.StringVar(&g.key, "key", "", "with --gateway: its key, which others on this machine can see meanwhile "+
		"(default: it is asked for, and not shown)")
	f.StringVar(&g.keyFile, "key-file", "", "with --gateway: `file` with its key, which others cannot read")
	f.BoolVar(&g.allowHTTP, "allow-http", false,
		"with --gateway: the key may travel unencrypted, as on your own network (default: it is asked)")
	cmd.MarkFlagsMutuallyExclusive("key", "key-file")
}

// check finds what cobra cannot see.
func (g *gatewayFlags) check() error {
	if g.url == "" && (g.key != "" || g.keyFile != "" || g.allowHTTP) {
		return usagef("--key, --key-file and --allow-http go with --gateway")
	}
	return nil
}

// seed makes a seed of what the flags say, and asks for what is missing; for the gateway itself if ask says
// so. nil is none.
func (g *gatewayFlags) seed(cmd *cobra.Command, defaults []byte, ask bool) ([]byte, error) {
	if g.url == "" && !ask {
		return nil, nil
	}
	for again := g.url == ""; ; {
		made, err := g.ask(cmd, defaults, again)
		if err == nil || !again || !errors.Is(err, errWrongAnswer) {
			return made, err
		}
		fmt.Fprintln(cmd.ErrOrStderr(), printable(err.Error()))
	}
}

// errWrongAnswer is an answer that may be given once more.
var errWrongAnswer = errors.New("that does not work")

// ask makes one round of questions.
func (g *gatewayFlags) ask(cmd *cobra.Command, defaults []byte, forURL bool) ([]byte, error) {
	in, person := terminal(cmd.InOrStdin())
	given := *g
	var err error
	if forURL {
		const question = "URL of the gateway, as camctl receive shows it (Enter: none, the board streams nothing): "
		if given.url, err = askLine(cmd, in, question); err != nil || given.url == "" {
			return nil, err
		}
	}
	if given.keyFile != "" {
		if given.key, err = readKeyFile(given.keyFile); err != nil {
			return nil, err
		}
	}
	if given.key == "" {
		if !person {
			return nil, errors.New("--gateway: its key is missing: --key-file FILE " +
				"(--key KEY shows it to others on this machine)")
		}
		if given.key, err = typePassword(cmd, in, "key of the gateway"); err != nil {
			return nil, err
		}
	}
	if u, err := url.Parse(given.url); err == nil && u.Scheme == "http" && !given.allowHTTP && person {
		const question = "With http the key travels unencrypted. Is all of the way your own network?"
		given.allowHTTP, err = askYes(cmd, in, question)
		if err != nil {
			return nil, err
		}
	}
	made, err := given.text()
	if err != nil {
		return nil, err
	}
	if _, err := config.ParseSeed(defaults, config.SeedName, made); err != nil {
		return nil, fmt.Errorf("%w: %w", errWrongAnswer, err)
	}
	return made, nil
}

// text is the seed of what is given.
func (g *gatewayFlags) text() ([]byte, error) {
	about := map[string]any{"url": g.url, "key": strings.TrimSpace(g.key)}
	if g.allowHTTP {
		about["allow-http"] = true
	}
	b, err := json.MarshalIndent(map[string]any{"gateway": about}, "", " ")
	if err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	return append(b, '\n'), nil
}
