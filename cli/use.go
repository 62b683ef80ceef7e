// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"text/tabwriter"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/cli/jobs"
	"github.com/adit-go/adit/client"
)

type userUseCmd struct {
	command.Remote
	Username   string `arg:"" optional:"" help:"Username. Default: all users."`
	From       string `placeholder:"DAY" help:"First day (UTC), such as 2026-11-01."`
	To         string `placeholder:"DAY" help:"Last day (UTC)."`
	Operations bool   `help:"What was asked for as well, by the names of the operations in the document of the API."`
}

// Help is the long description.
func (*userUseCmd) Help() string {
	return `Shows how many requests each user sent on a day, by which API token or by sessions, how many of them failed, and when the last one was. The counts are kept for 8 weeks. They hold no addresses and nothing of the requests.`
}

// Run shows who used the API how much, the latest first.
func (c *userUseCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	all, err := command.Collect(cl.Users.Use(ctx, client.UseFilter{Username: c.Username, From: c.From, To: c.To}))
	if err != nil {
		return err
	}
	if c.JSON {
		return command.PrintJSON(io.Out, all)
	}
	if len(all) == 0 {
		fmt.Fprintln(io.Out, "Nobody used the API then. Requests of the last minute may be missing.")
		return nil
	}
	w := tabwriter.NewWriter(io.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "DAY\tUSER\tTOKEN\tFOR\tREQUESTS\tREFUSED\tFAILED\tANSWERS\tLAST")
	for _, u := range sumUse(all, c.Operations) {
		token := "sessions"
		if u.TokenID != 0 {
			token = fmt.Sprintf("%d %s", u.TokenID, command.Printable(u.Token))
		}
		fmt.Fprintf(
			w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\n", u.Day, command.Printable(u.Username), token, u.Operation,
			u.Requests, u.ClientErrors, u.ServerErrors, jobs.Size(u.Bytes), command.Stamp(u.Last),
		)
	}
	return w.Flush()
}

// sumUse sums up the rows of a day, user and token, unless each operation is to be seen, in the order of the days.
func sumUse(all []client.APIUse, operations bool) (rows []client.APIUse) {
	type key struct {
		day, user string
		token     int64
		operation string
	}
	at := map[key]int{}
	for _, u := range all {
		if !operations {
			u.Operation = "all"
		}
		k := key{u.Day, u.Username, u.TokenID, u.Operation}
		i, again := at[k]
		if !again {
			at[k] = len(rows)
			rows = append(rows, u)
			continue
		}
		row := &rows[i]
		row.Requests += u.Requests
		row.ClientErrors += u.ClientErrors
		row.ServerErrors += u.ServerErrors
		row.Bytes += u.Bytes
		if u.Last.After(row.Last) {
			row.Last = u.Last
		}
	}
	slices.SortStableFunc(rows, func(a, b client.APIUse) int {
		return cmp.Or(cmp.Compare(b.Day, a.Day), cmp.Compare(a.Username, b.Username), cmp.Compare(a.TokenID, b.TokenID))
	})
	return rows
}
