// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
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
	Username    string `placeholder:"NAME" help:"Whose token, if you have none yet: your username."`
	Output      string `short:"o" type:"path" placeholder:"FILE" help:"New private file to write it to, instead of showing it."`
}

// Help is the long description.
func (*tokenCreateCmd) Help() string {
	return `No token makes another one: you are asked for your password, or it is read from --own-password-file.`
}

// Run makes a token.
func (c *tokenCreateCmd) Run(ctx context.Context, io streams) error {
	c.User = c.Username
	write := func(string) error { return nil }
	if c.Output != "" {
		f, err := newPrivateFile(c.Output)
		if err != nil {
			return err
		}
		defer f.end()
		write = f.write
	}
	t, err := asMyself(ctx, io, &c.remote, func(cl *client.Client) (client.CreatedToken, error) {
		return cl.CreateToken(ctx, client.NewToken{Description: c.Description, Lifetime: c.Lifetime})
	})
	if err != nil {
		return err
	}
	if err := write(t.Secret + "\n"); err != nil {
		return fmt.Errorf("token %d was made and could not be written; revoke it with adit token revoke %d: %w", t.ID, t.ID, err)
	}
	if c.Output != "" {
		fmt.Fprintf(io.out, "Token %d is in %s.\n", t.ID, c.Output)
		return nil
	}
	fmt.Fprintln(io.out, t.Secret)
	return nil
}

// privateFile is a new file that its owner alone can read. It is removed at its end if nothing was written.
type privateFile struct {
	*os.File
	whole bool
}

// newPrivateFile makes a file where there is none, not even a link: what somebody keeps there stays.
func newPrivateFile(path string) (*privateFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s exists already and is not overwritten; no token was made: remove it, or name another file", path)
	}
	if err != nil {
		return nil, fmt.Errorf("no token was made, since its file can't be: %w", err)
	}
	return &privateFile{File: f}, nil
}

func (f *privateFile) write(text string) error {
	_, err := f.WriteString(text)
	err = errors.Join(err, f.Sync())
	f.whole = err == nil
	return err
}

func (f *privateFile) end() {
	_ = f.Close() // it is synced, or of no use
	if !f.whole {
		_ = os.Remove(f.Name()) // an empty file harms nobody
	}
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
