// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/adit-go/adit/client"
)

type tokenCmd struct {
	List   tokenListCmd   `cmd:"" help:"List API tokens, without their secrets."`
	Create tokenCreateCmd `cmd:"" help:"Make an API token for yourself; it is shown this once."`
	Revoke tokenRevokeCmd `cmd:"" help:"End a token at once."`
}

type tokenListCmd struct {
	remote
	User string `placeholder:"NAME" help:"Those of this user (staff); your own by default."`
	JSON bool   `name:"json" help:"Write JSON."`
}

// Run lists tokens.
func (c *tokenListCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	tokens, err := collect(cl.Tokens(ctx, c.User))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io.out, tokens)
	}
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tUSER\tMADE\tENDS\tDESCRIPTION")
	for _, t := range tokens {
		ends := "never"
		if t.ExpiresAt != nil {
			ends = clock(*t.ExpiresAt)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", t.ID, printable(t.Username), clock(t.CreatedAt), ends, printable(t.Description))
	}
	return w.Flush()
}

type tokenCreateCmd struct {
	remote
	Lifetime    string `enum:"24h,7d,30d,90d,never" default:"30d" help:"24h, 7d, 30d, 90d or never, which takes a permission (${default})."`
	Description string `placeholder:"TEXT" help:"What it is for."`
	Output      string `short:"o" type:"path" placeholder:"FILE" help:"Private file to write it to, instead of showing it."`
}

// Run makes a token.
func (c *tokenCreateCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	t, err := cl.CreateToken(ctx, client.NewToken{Description: c.Description, Lifetime: c.Lifetime})
	if err != nil {
		return err
	}
	if c.Output != "" {
		if err := writeFile(c.Output, t.Secret+"\n"); err != nil {
			return fmt.Errorf("token %d was made and could not be written; revoke it with adit token revoke %d: %w", t.ID, t.ID, err)
		}
		fmt.Fprintf(io.out, "Token %d is in %s.\n", t.ID, c.Output)
		return nil
	}
	fmt.Fprintln(io.out, t.Secret)
	return nil
}

type tokenRevokeCmd struct {
	remote
	ID int64 `arg:"" help:"As adit token list shows it."`
}

// Run ends a token.
func (c *tokenRevokeCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if err := cl.RevokeToken(ctx, c.ID); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "Token %d no longer opens anything.\n", c.ID)
	return nil
}
