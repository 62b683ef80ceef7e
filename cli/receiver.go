// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
)

type receiverCmd struct {
	Callers receiverCallersCmd `cmd:"" help:"List the callers that the receiver refused: from where, why, and how to allow them."`
}

type receiverCallersCmd struct {
	command.Remote
}

// Run lists the callers, the latest last.
func (c *receiverCallersCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	all, err := command.Collect(cl.Servers.RejectedCallers(ctx))
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b client.RejectedCaller) int { return a.Last.Compare(b.Last) })
	if c.JSON {
		return command.PrintJSON(io.Out, all)
	}
	if len(all) == 0 {
		fmt.Fprintln(io.Out, "The receiver has refused no caller.")
		return nil
	}
	w := tabwriter.NewWriter(io.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SERVER\tCALLING AE\tADDRESS\tCALLS\tFIRST\tLAST\tWHY")
	for _, r := range byCaller(all) {
		fmt.Fprintf(
			w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", command.Printable(r.Server),
			command.Printable(r.CallingAE), r.Address, r.Calls,
			command.Stamp(r.First), command.Stamp(r.Last), command.Printable(r.Detail),
		)
	}
	return w.Flush()
}

// byCaller makes one row of those of one caller that differ in the server that it may have been: an address may be that
// of several.
func byCaller(all []client.RejectedCaller) (rows []client.RejectedCaller) {
	type caller struct{ ae, called, address, reason string }
	at := map[caller]int{}
	for _, r := range all {
		key := caller{r.CallingAE, r.CalledAE, r.Address, r.Reason}
		i, again := at[key]
		if !again {
			at[key] = len(rows)
			rows = append(rows, r)
			continue
		}
		row := &rows[i]
		if r.Server != "" && !slices.Contains(strings.Split(row.Server, " or "), r.Server) {
			row.Server = strings.TrimPrefix(row.Server+" or "+r.Server, " or ")
			row.Detail += "; or: " + r.Detail
		}
		row.Calls = max(row.Calls, r.Calls)
		if r.First.Before(row.First) {
			row.First = r.First
		}
		if r.Last.After(row.Last) {
			row.Last = r.Last
		}
	}
	return rows
}
