// SPDX-License-Identifier: AGPL-3.0-or-later

// Package cluster is adit cluster: the certificates of members, what each of them does, and what it may do.
package cluster

import (
	"context"
	"errors"
	"fmt"
	stdio "io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	own "github.com/adit-go/adit/actors/cluster"
	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/internal/text"
)

// Cmd is adit cluster.
type Cmd struct {
	InitCA initCACmd `cmd:"" name:"init-ca" help:"Make the cluster's own CA (certificate authority), which signs the certificates of its members."`
	Cert   certCmd   `cmd:"" help:"Make a member's certificate and key, or renew them."`
	Status statusCmd `cmd:"" help:"Show the members of the cluster, what each of them does, and what is wrong."`
	Drain  drainCmd  `cmd:"" help:"Let a member run no more tasks: they go on at other members."`
	Resume resumeCmd `cmd:"" help:"Let a drained member run tasks again."`
	Roles  rolesCmd  `cmd:"" help:"Say which of its roles a member has."`
}

type initCACmd struct {
	command.Output

	Dir string `type:"path" default:"cluster-ca" placeholder:"DIR" help:"Where to put the CA's certificate and key (./cluster-ca)."`
}

// Help says where the CA belongs.
func (c *initCACmd) Help() string {
	return `With the CA's key, anybody can make a member. Keep the directory where you keep other secrets, and not on the members: they only need what "adit cluster cert" writes.`
}

// Run makes the CA.
func (c *initCACmd) Run(io command.Streams) error {
	if err := own.InitCA(c.Dir); err != nil {
		return err
	}
	return c.Tell(io, command.Done{
		"done": "written", "certificate": filepath.Join(c.Dir, own.CAFile), "key": filepath.Join(c.Dir, own.CAKeyFile),
	}, func(w stdio.Writer) error {
		fmt.Fprintf(
			w, "The cluster's CA is in %s. Keep it safe: with its key, anybody can make a member.\n"+
				"Now make a certificate for each member: adit cluster cert NAME --ca %s\n", c.Dir, text.ShellWord(c.Dir),
		)
		return nil
	})
}

type certCmd struct {
	command.Output

	Name string `arg:"" help:"Name of the member: what hostname prints on its machine, or what --member-name of its server says."`
	CA   string `name:"ca" type:"path" default:"cluster-ca" placeholder:"DIR" help:"Directory of the CA (./cluster-ca)."`
	Out  string `type:"path" placeholder:"DIR" help:"Where to put the files (./NAME). Those that are there are replaced; a member that uses them need not start again."`
	Days int    `default:"365" placeholder:"N" help:"How many days the certificate is valid (${default}), at most as long as the CA."`
}

// Run makes a certificate.
func (c *certCmd) Run(io command.Streams) error {
	if c.Days < 1 {
		return command.Usage("--days must be 1 or more")
	}
	out := c.Out
	if out == "" {
		out = c.Name
	}
	if err := own.Issue(c.CA, c.Name, out, time.Duration(c.Days)*24*time.Hour); err != nil {
		return err
	}
	ca, cert, key := filesIn(out)
	made, err := own.OpenCertificates(ca, cert, key) // as the member will
	if err != nil {
		return err
	}
	return c.Tell(io, command.Done{
		"done": "written", "member": c.Name, "ca": ca, "certificate": cert, "key": key, "ends": made.Ends(),
	}, func(w stdio.Writer) error {
		fmt.Fprintf(
			w, "%s, %s and %s are in %s, for %s, until %s.\nPut them into the folder cluster of its data directory; they "+
				"must belong to the user that runs ADIT there.\n", own.CAFile, own.CertFile, own.KeyFile, out, c.Name,
			command.Stamp(made.Ends()),
		)
		return nil
	})
}

func filesIn(dir string) (ca, cert, key string) {
	return filepath.Join(dir, own.CAFile), filepath.Join(dir, own.CertFile), filepath.Join(dir, own.KeyFile)
}

type statusCmd struct {
	command.Remote
}

// status is the answer to programs.
type status struct {
	Members  []client.ClusterMember `json:"members"`
	Warnings []string               `json:"warnings"`
}

// Run shows the members.
func (c *statusCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	members, err := cl.Cluster.Members(ctx)
	if err != nil {
		return err
	}
	s := status{Members: members, Warnings: warningsOf(members)}
	if says := ownCertificate(filepath.Join(c.DataDir, "cluster"), time.Now()); says != "" {
		s.Warnings = append(s.Warnings, says)
	}
	return c.Tell(io, s, func(w stdio.Writer) error { return printStatus(w, s) })
}

func printStatus(to stdio.Writer, s status) error {
	w := tabwriter.NewWriter(to, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "MEMBER\tSTATE\tROLES\tTASKS\tASSOCIATIONS\tBEAT\tVERSION\tFOLDERS\tADDRESS\tSINCE")
	for _, m := range s.Members {
		tasks, beat, since := fmt.Sprintf("%d of %d", m.Tasks, m.Workers), fmt.Sprintf("%.0f s ago", m.Beat), m.StartedAt
		if m.EndedAt != nil {
			tasks, beat, since = "-", "-", *m.EndedAt
		}
		fmt.Fprintf(
			w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", command.Printable(m.Name), stateOf(m), rolesOf(m), tasks,
			m.Associations, beat, command.Printable(m.Version), foldersOf(m), orDash(command.Printable(m.Address)),
			command.Stamp(since),
		)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, says := range s.Warnings {
		fmt.Fprintf(to, "\n%s\n", says)
	}
	return nil
}

func stateOf(m client.ClusterMember) string {
	switch {
	case m.Ended == client.EndedLeft:
		return "ended"
	case m.Ended == client.EndedSilent:
		return "lost"
	case m.Ended != "":
		return "started again"
	case silent(m):
		return "silent"
	case m.Draining && m.Tasks > 0:
		return "draining"
	case m.Draining:
		return "drained"
	}
	return "runs"
}

func rolesOf(m client.ClusterMember) string {
	off := slices.DeleteFunc(slices.Clone(m.StartedRoles), func(r string) bool { return slices.Contains(m.Roles, r) })
	roles := orDash(strings.Join(m.Roles, ","))
	if len(off) > 0 {
		roles += " (not " + strings.Join(off, ",") + ")"
	}
	return roles
}

func foldersOf(m client.ClusterMember) string {
	if m.AnyFolder {
		return "all"
	}
	return orDash(command.Printable(strings.Join(m.Folders, ",")))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// silentAfter is a lease by default: whoever says nothing for so long has trouble.
const silentAfter = 15 * time.Second

func silent(m client.ClusterMember) bool { return m.Beat > silentAfter.Seconds() }

// warningsOf says what somebody should look at.
func warningsOf(members []client.ClusterMember) []string {
	says := []string{}
	var live []client.ClusterMember
	for _, m := range members {
		if m.Ended == "" {
			live = append(live, m)
		}
		if why := troubleOf(m, members); why != "" {
			says = append(says, why)
		} else if m.Unreached != "" {
			says = append(says, fmt.Sprintf(
				"The member that was asked can't reach %s, so tasks may wait for what arrives there: %s.",
				command.Printable(m.Name), command.Printable(m.Unreached),
			))
		}
	}
	some := func(is func(m client.ClusterMember) bool) bool { return slices.ContainsFunc(live, is) }
	switch {
	case len(live) == 0:
		return append(says, "No member runs.")
	case !some(func(m client.ClusterMember) bool { return m.Workers > 0 }):
		says = append(says, "No member runs tasks now: all of them wait. \"adit cluster resume NAME\", \"adit cluster "+
			"roles NAME all\" or the schedule of workers change that.")
	}
	if !some(func(m client.ClusterMember) bool { return slices.Contains(m.Roles, client.RoleReceiver) }) {
		says = append(says, "No member has the role receiver: nothing that a server sends to ADIT arrives.")
	}
	var versions, alone []string
	for _, m := range live {
		if !slices.Contains(versions, m.Version) {
			versions = append(versions, m.Version)
		}
		if m.Address == "" {
			alone = append(alone, command.Printable(m.Name))
		}
	}
	if len(versions) > 1 {
		all := command.Printable(strings.Join(versions, ", "))
		says = append(says, fmt.Sprintf("Members run different versions: %s.", all))
	}
	if len(alone) > 0 && len(live) > 1 {
		says = append(says, fmt.Sprintf("Started without --cluster, and so out of reach for the others: %s. What a server "+
			"sends there for a task of another member does not reach that task.", strings.Join(alone, ", ")))
	}
	return says
}

// troubleOf says what is wrong with one of all members; empty: nothing.
func troubleOf(m client.ClusterMember, all []client.ClusterMember) string {
	name := command.Printable(m.Name)
	back := slices.ContainsFunc(all, func(o client.ClusterMember) bool { return o.Name == m.Name && o.Ended == "" })
	switch {
	case m.Ended == client.EndedSilent && !back:
		return fmt.Sprintf("%s was lost: it did not tell the database for a whole lease that it is alive, and other "+
			"members took over its tasks. Check its machine and its log.", name)
	case m.Ended == "" && silent(m):
		return fmt.Sprintf("%s last told the database %.0f seconds ago that it is alive. Check whether it runs, and "+
			"whether it reaches the database.", name, m.Beat)
	}
	return ""
}

// soon is how long before its end a certificate should be renewed.
const soon = 30 * 24 * time.Hour

// ownCertificate says what is wrong with the certificate of the member on this machine, if it is one.
func ownCertificate(dir string, now time.Time) string {
	ca, cert, key := filesIn(dir)
	if _, err := os.Stat(cert); err != nil {
		return ""
	}
	c, err := own.OpenCertificates(ca, cert, key)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "" // it is another user's
	case err != nil:
		return fmt.Sprintf("The certificate of the member on this machine can't be used: %v.", err)
	case c.Ends().Before(now.Add(soon)):
		return fmt.Sprintf("The certificate of the member on this machine, %s, ends at %s. Make a new one with \"adit "+
			"cluster cert\"; it is used without a restart.", cert, command.Stamp(c.Ends()))
	}
	return ""
}

type drainCmd struct {
	command.Remote

	Name string `complete:"member" arg:"" help:"Name of the member, as adit cluster status shows it."`
	Wait bool   `help:"Wait until it runs no task any more."`
}

// Help says what a drained member still does.
func (c *drainCmd) Help() string {
	return `Running tasks stop after the series in hand, or after the grace of the schedule (5 minutes), and go on at other members where they stopped. The member claims none, also after a restart, until "adit cluster resume". It still serves people and takes what servers send; to end that, too, stop its server.`
}

// Run drains a member.
func (c *drainCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	s, err := cl.Cluster.Drain(ctx, c.Name)
	if err != nil {
		return err
	}
	if c.Wait {
		if err := waitForNoTask(ctx, cl, c.Name, c.Progress(io)); err != nil {
			return err
		}
		return c.Say(io, s, "%s is drained: it runs no task.", command.Printable(c.Name))
	}
	return c.Say(io, s, "%s claims no more tasks; those that run stop, and go on at other members. \"adit cluster "+
		"status\" shows when none is left.", command.Printable(c.Name))
}

// lookAgain is how often somebody who waits looks.
const lookAgain = time.Second

func waitForNoTask(ctx context.Context, cl *client.Client, name string, to stdio.Writer) error {
	every := time.NewTicker(lookAgain)
	defer every.Stop()
	for told := -1; ; {
		members, err := cl.Cluster.Members(ctx)
		if err != nil {
			return err
		}
		left := 0
		for _, m := range members {
			if m.Name == name && m.Ended == "" {
				left += m.Tasks
			}
		}
		if left == 0 {
			return nil
		}
		if left != told {
			fmt.Fprintf(to, "Tasks that still run: %d\n", left)
			told = left
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

type resumeCmd struct {
	command.Remote

	Name string `complete:"member" arg:"" help:"Name of the member."`
}

// Run lets a member run tasks again.
func (c *resumeCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	s, err := cl.Cluster.Resume(ctx, c.Name)
	if err != nil {
		return err
	}
	return c.Say(io, s, "%s runs tasks again.", command.Printable(c.Name))
}

type rolesCmd struct {
	command.Remote

	Name  string `complete:"member" arg:"" help:"Name of the member."`
	Roles string `arg:"" help:"Roles that it has from now on, such as web,worker; all: those that it was started with. There are web, worker and receiver."`
}

// Run gives a member roles.
func (c *rolesCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	var roles []string
	if c.Roles != "all" {
		roles = strings.Split(c.Roles, ",")
	}
	s, err := cl.Cluster.SetRoles(ctx, c.Name, roles...)
	if err != nil {
		return err
	}
	if len(s.Roles) == 0 {
		return c.Say(io, s, "%s has all roles that it was started with.", command.Printable(c.Name))
	}
	return c.Say(io, s, "%s has these of its roles: %s.", command.Printable(c.Name), strings.Join(s.Roles, ", "))
}
