// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

// Command bench measures ADIT against DCMTK, Orthanc and a plain copy: in each round ours and theirs take turns on the
// same data, and the table holds the medians. It prints the table and, after a full run, writes it to
// docs/performance.md. It is started at the top of the repository, by `make bench`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/adit-go/adit/internal/testpeer"
)

const (
	fullRounds = 5 // fewer are a trial, which is not written down
	document   = "docs/performance.md"
)

// Words that make this program one of the processes that are measured.
const (
	receiverRole = "receive"  // our SCP
	profiledRole = "profiled" // adit, with a CPU profile
)

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case receiverRole:
			os.Exit(exitCode(receive(context.Background(), os.Stdout)))
		case profiledRole:
			os.Exit(profiled(os.Args[2], os.Args[3:]))
		}
	}
	// Before Isolate, so that its outer process, too, leaves the end to who has something to tidy up.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	testpeer.Isolate()
	var code int
	if len(os.Args) > 1 && os.Args[1] == requestsRole {
		code = exitCode(requests(ctx, os.Args[2:], os.Stdout))
	} else {
		code = exitCode(run(ctx, os.Stdout))
	}
	stop()
	os.Exit(code)
}

func exitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		return 2
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	return 1
}

// bench is one run of the program.
type bench struct {
	room // the sets of files live as long as the run

	adit    string // the binary
	profile string // where CPU profiles of adit serve go; empty: none
	sets    sets
	memory  int64 // most bytes that an adit serve ever had
}

func run(ctx context.Context, out io.Writer) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("only", "", "measure only these rows: `NAMES` parted by commas")
	rounds := flags.Int("rounds", fullRounds, "`N` paired rounds per row")
	adit := flags.String("adit", "bin/adit", "the `BINARY` that is measured")
	profile := flags.String("profile", "", "`FOLDER` for CPU profiles of adit serve, which then is no fair measure")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	if *rounds < 1 {
		return errors.New("-rounds must be 1 or more")
	}
	b := &bench{room: room{ctx: ctx}, profile: *profile}
	if b.adit, err = filepath.Abs(*adit); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.leave()) }()
	if b.dir, err = b.tempDir(); err != nil {
		return err
	}
	if b.sets, err = makeSets(b.dir); err != nil {
		return fmt.Errorf("the files to be sent can't be made: %w", err)
	}
	var results []result
	for _, c := range chosen {
		r, err := b.compare(c, *rounds, os.Stderr)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		results = append(results, r)
	}
	report := b.report(results, *rounds)
	fmt.Fprintln(out, report)
	if *only != "" || *rounds < fullRounds || *profile != "" {
		return nil
	}
	return writeInto(document, report)
}

// choose returns the rows named, all if none is.
func choose(names string) ([]comparison, error) {
	if names == "" {
		return comparisons, nil
	}
	var chosen []comparison
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(comparisons, func(c comparison) bool { return c.name == name })
		if i < 0 {
			var all []string
			for _, c := range comparisons {
				all = append(all, c.name)
			}
			return nil, fmt.Errorf("-only: there is no row %q; the rows are %s", name, strings.Join(all, ", "))
		}
		chosen = append(chosen, comparisons[i])
	}
	return chosen, nil
}

// compare measures one row, ours and theirs by turns; who is first changes from round to round.
func (b *bench) compare(c comparison, rounds int, progress io.Writer) (r result, err error) {
	in := &room{ctx: b.ctx}
	defer func() { err = errors.Join(err, in.leave()) }()
	if in.dir, err = in.tempDir(); err != nil {
		return r, err
	}
	ours, theirs, err := c.prepare(b, in)
	if err != nil {
		return r, err
	}
	r.comparison = c
	for round := range rounds * max(c.times, 1) {
		p := pair{}
		turns := []func() error{
			func() (err error) { p.ours, err = ours(); return err },
			func() (err error) { p.theirs, err = theirs(); return err },
		}
		if round%2 == 1 {
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			if err := turn(); err != nil {
				return r, err
			}
		}
		fmt.Fprintf(progress, "%s, round %d: ours %s, theirs %s\n", c.name, round+1, p.ours, p.theirs)
		r.pairs = append(r.pairs, p)
	}
	return r, nil
}
