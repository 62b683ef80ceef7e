// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"text/tabwriter"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
)

type tokenCmd struct {
	List   tokenListCmd   `cmd:"" help:"List API tokens, without their secrets."`
	Create tokenCreateCmd `cmd:"" help:"Make an API token for yourself. It is shown only once."`
	Revoke tokenRevokeCmd `cmd:"" help:"Revoke a token at once."`
}

type tokenListCmd struct {
	command.Remote
	User string `complete:"user" placeholder:"NAME" help:"List the tokens of this user (staff only). Default: your own."`
}

// Run lists tokens.
func (c *tokenListCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	tokens, err := command.Collect(cl.Tokens.List(ctx, c.User))
	if err != nil {
		return err
	}
	if c.JSON {
		return command.PrintJSON(io.Out, tokens)
	}
	if len(tokens) == 0 {
		fmt.Fprintln(io.Out, "There are no tokens.")
		return nil
	}
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tUSER\tMADE\tENDS\tDESCRIPTION")
	for _, t := range tokens {
		ends := "never"
		if t.ExpiresAt != nil {
			ends = command.Stamp(*t.ExpiresAt)
		}
		fmt.Fprintf(
			w, "%d\t%s\t%s\t%s\t%s\n", t.ID, command.Printable(t.Username),
			command.Stamp(t.CreatedAt), ends, command.Printable(t.Description),
		)
	}
	return w.Flush()
}

type tokenCreateCmd struct {
	command.Remote
	Lifetime    string `enum:"24h,7d,30d,90d,never" default:"30d" help:"24h, 7d, 30d, 90d or never (${default}). never needs a permission."`
	Description string `placeholder:"TEXT" help:"What the token is for."`
	Username    string `placeholder:"NAME" help:"Make it for this user, by their password, whoever has given this command a token. Default: yourself."`
	Output      string `short:"o" type:"path" placeholder:"FILE" help:"Write the token to this new file, readable by you alone, instead of showing it."`
}

// Help is the long description.
func (*tokenCreateCmd) Help() string {
	return `A token can't make another one: the command asks for your password, or reads it from --own-password-file.`
}

// Run makes a token.
func (c *tokenCreateCmd) Run(ctx context.Context, io command.Streams) error {
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
	t, err := command.AsMyself(ctx, io, &c.Remote, func(cl *client.Client) (client.CreatedToken, error) {
		return cl.Tokens.Create(ctx, client.NewToken{Description: c.Description, Lifetime: c.Lifetime})
	})
	if err != nil {
		return err
	}
	if err := write(t.Secret + "\n"); err != nil {
		return fmt.Errorf(
			"token %d was made and could not be written; revoke it with adit token revoke %d: %w", t.ID, t.ID, err,
		)
	}
	if c.Output != "" {
		return c.Say(io, t.Token, "Token %d of %s is in %s.", t.ID, command.Printable(t.Username), c.Output)
	}
	if !c.JSON {
		fmt.Fprintf(io.Err, "Token %d of %s:\n", t.ID, command.Printable(t.Username))
	}
	return c.Say(io, t, "%s", t.Secret)
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
		return nil, fmt.Errorf(
			"%s exists already and is not overwritten; no token was made: remove it, or name another file", path,
		)
	}
	if err != nil {
		return nil, fmt.Errorf("no token was made, because its file could not be created: %w", err)
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
	command.Remote
	ID int64 `arg:"" help:"Number of the token, as adit token list shows it."`
}

// Run ends a token.
func (c *tokenRevokeCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if err := cl.Tokens.Revoke(ctx, c.ID); err != nil {
		return err
	}
	return c.Say(io, command.Done{"done": "revoked", "token": c.ID}, "Token %d was revoked.", c.ID)
}
