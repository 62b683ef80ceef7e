// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// result is a row with its rounds.
type result struct {
	comparison
	pairs []pair
}

// median of a figure over the rounds.
func (r result) median(of func(p pair) float64) float64 {
	figures := make([]float64, len(r.pairs))
	for i, p := range r.pairs {
		figures[i] = of(p)
	}
	return median(figures)
}

// median returns the middle, or the mean of the two in the middle.
func median(figures []float64) float64 {
	if len(figures) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(figures))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// ratio is how many times as fast ours is as theirs: the median of the rounds' own ratios.
func (r result) ratio() float64 {
	return r.median(func(p pair) float64 { return p.ours.perSecond() / p.theirs.perSecond() })
}

func (r result) cpuRatio() float64 {
	return r.median(func(p pair) float64 { return p.ours.cpuPerImage() / p.theirs.cpuPerImage() })
}

func (r result) ourCPU() float64 {
	return r.median(func(p pair) float64 { return p.ours.cpuPerImage() })
}

// mostMemory is the most that a process of ours ever had, in bytes.
func (r result) mostMemory() (most int64) {
	for _, p := range r.pairs {
		most = max(most, p.ours.memory)
	}
	return most
}

// line is the row in Markdown.
func (r result) line() string {
	ours := r.median(func(p pair) float64 { return p.ours.perSecond() })
	theirs := r.median(func(p pair) float64 { return p.theirs.perSecond() })
	cpu := "–"
	if r.pairs[0].ours.cpu > 0 {
		cpu = fmt.Sprintf("%.2f : %.2f", r.ourCPU(), r.median(func(p pair) float64 { return p.theirs.cpuPerImage() }))
	}
	verdict := "**no**"
	if r.met(r) {
		verdict = "yes"
	}
	what := r.what
	if r.times > 1 {
		what += fmt.Sprintf(" (%d rounds)", len(r.pairs))
	}
	if most := r.mostMemory(); most > 0 {
		what += fmt.Sprintf(" (most memory: %d MB)", most/1e6)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | **%.2f×** | %s | %s | %s |",
		what, r.comparison.ours, r.comparison.theirs, rate(ours), rate(theirs), r.ratio(), cpu, r.required, verdict)
}

// rate writes a number of images per second with three digits.
func rate(perSecond float64) string {
	if perSecond >= 100 {
		return fmt.Sprintf("%.0f", perSecond)
	}
	return fmt.Sprintf("%.3g", perSecond)
}

// report is what is printed, and written to the document.
func (b *bench) report(results []result, rounds int) string {
	var out strings.Builder
	fmt.Fprintf(
		&out, "Measured on %s with `make bench`: %s. %s, %s, %s, %s, %s.\n\n",
		time.Now().UTC().Format(time.DateOnly), b.machine(),
		b.firstLine(b.adit, "version"), b.firstLine("storescu", "--version"),
		b.firstLine("gdcmanon", "--version"), b.firstLine("Orthanc", "--version"), b.postgres(),
	)
	fmt.Fprintf(&out, "Medians of %d paired rounds, of more where the row says so. DCMTK and Orthanc ran with "+
		"`TCP_NODELAY=1`, which turns Nagle's algorithm off, except where "+
		"the row says otherwise; DCMTK with `-pdu %s` on either side. CPU is user and system time per image in "+
		"milliseconds, of ours (adit and its "+
		"PostgreSQL, where it has one) : of theirs. The start of a program that sends belongs to its time.\n\n",
		rounds, maxPDU)
	fmt.Fprintln(
		&out, "| What | Ours | Theirs | Ours, images/s | Theirs, images/s | Ratio | CPU, ms | Required | Met |",
	)
	fmt.Fprintln(&out, "|---|---|---|--:|--:|--:|--:|---|---|")
	for _, r := range results {
		fmt.Fprintln(&out, r.line())
	}
	if b.memory > 0 {
		fmt.Fprintf(
			&out, "\nMost memory that `adit serve` ever had in these jobs (VmHWM, without its PostgreSQL): %d MB.\n",
			b.memory/1e6,
		)
	}
	return out.String()
}

// machine says what kind of machine this is.
func (r *room) machine() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	model := runtime.GOARCH
	if err == nil {
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(line, ":")
			if strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf(
		"%d cores (%s), %s, %s, over loopback", runtime.NumCPU(), model, r.firstLine("uname", "-sr"), runtime.Version(),
	)
}

// firstLine is what a program prints first.
func (r *room) firstLine(name string, args ...string) string {
	p := program{name: name, args: args}
	text, err := p.command(r.ctx).Output()
	line, _, _ := strings.Cut(string(text), "\n")
	if err != nil || line == "" {
		return filepath.Base(name) + " (version unknown)"
	}
	return strings.Trim(line, "$ ")
}

// postgres is the version that the embedded database takes: the newest.
func (r *room) postgres() string {
	programs, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // an impossible pattern is its only error
	if len(programs) == 0 {
		programs = []string{"postgres"}
	}
	return r.firstLine(programs[len(programs)-1], "--version")
}

const (
	tableBegin = "<!-- make bench writes from here … -->\n"
	tableEnd   = "<!-- … to here -->\n"
)

// writeInto puts the report between the marks of the document.
func writeInto(file, report string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	replaced, err := replaceTable(string(text), report)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(replaced), 0o644)
}

func replaceTable(text, report string) (string, error) {
	before, rest, found := strings.Cut(text, tableBegin)
	_, after, ended := strings.Cut(rest, tableEnd)
	if !found || !ended {
		return "", fmt.Errorf("the marks of the table (%s) are missing", strings.TrimSpace(tableBegin))
	}
	return before + tableBegin + "\n" + report + "\n" + tableEnd + after, nil
}
