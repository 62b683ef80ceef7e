// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/adit-go/adit/client"
)

type receiverCmd struct {
	Callers receiverCallersCmd `cmd:"" help:"List who called and was turned away: from where, why, and what allows it."`
}

type receiverCallersCmd struct {
	remote
	JSON bool `name:"json" help:"Write JSON."`
}

// Run lists the callers, the latest last.
func (c *receiverCallersCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	all, err := collect(cl.RejectedCallers(ctx))
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b client.RejectedCaller) int { return a.Last.Compare(b.Last) })
	if c.JSON {
		return printJSON(io.out, all)
	}
	if len(all) == 0 {
		fmt.Fprintln(io.out, "Nobody was turned away.")
		return nil
	}
	w := tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SERVER\tCALLING AE\tADDRESS\tCALLS\tFIRST\tLAST\tWHY")
	for _, r := range byCaller(all) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", printable(r.Server), printable(r.CallingAE), r.Address, r.Calls,
			clock(r.First), clock(r.Last), printable(r.Detail))
	}
	return w.Flush()
}

// byCaller makes one row of those of one caller that differ in the server that it may have been: an address may be that of several.
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
