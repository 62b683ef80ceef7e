// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
)

// Flags are those of each command that makes jobs.
type Flags struct {
	Urgent         bool `help:"Run before everything that is not urgent. Needs a permission."`
	OutsideWindows bool `help:"Run an urgent job even while a server's window is closed for jobs, within the limit of the server's default. Needs a permission."`
	EndFlags
}

// EndFlags say what is to happen at the end of a job.
type EndFlags struct {
	Mail        bool          `help:"Send a mail to the job's owner when the job has ended."`
	Wait        bool          `help:"Show the progress until the job has ended. The exit code is its status; of several jobs, the worst one."`
	GiveUpAfter time.Duration `placeholder:"D" help:"With --wait: cancel the job if it has not ended after this time (such as 90s or 2h), and say why."`
}

// Check refuses flags that don't go together.
func (f EndFlags) Check() error {
	if f.GiveUpAfter < 0 || f.GiveUpAfter > 0 && !f.Wait {
		return command.Usage("--give-up-after is a time such as 90s, and goes with --wait")
	}
	return nil
}

// Follow tells of a job that was made, and waits for it if asked to.
func (f EndFlags) Follow(
	ctx context.Context, io command.Streams, o command.Output, cl *client.Client, made client.Job,
) error {
	if !f.Wait {
		return o.Say(io, made, "Job %d was made; adit job get %d shows its progress.", made.ID, made.ID)
	}
	fmt.Fprintf(o.Progress(io), "Job %d was made.\n", made.ID)
	ended, err := Wait(ctx, io, o, cl, made.ID, f.GiveUpAfter)
	return TellEnded(io, o, ended, err)
}

// SentFlags say of studies what goes out.
type SentFlags struct {
	Rejected  string `enum:"leave-out,send," default:"" placeholder:"leave-out|send" help:"What to do with instances that a rejection note at the source names (IHE IOCM). Default: leave-out when de-identifying, else send. The task reports how many were left out."`
	TrialID   string `name:"trial-id" placeholder:"ID" help:"Clinical Trial Protocol ID to write into each object."`
	TrialName string `placeholder:"NAME" help:"Clinical Trial Protocol Name to write into each object."`
}

// LeaveOutRejected is what the flags say of instances that a rejection note names; nil: nothing.
func (f SentFlags) LeaveOutRejected() *bool {
	if f.Rejected == "" {
		return nil
	}
	return new(f.Rejected == "leave-out")
}

// ArchiveFlags say whether a job leaves an archive in its folder.
type ArchiveFlags struct {
	ArchivePasswordFile string `placeholder:"FILE" help:"Into a folder: leave one encrypted zip file instead of a tree of files, with the password on the only line of this file, which others must not be able to read; - reads it from the standard input, or asks for it."`
}

// Password reads the password of the archive; empty: there is to be none. stdin: something else is read from the
// standard input.
func (f ArchiveFlags) Password(io command.Streams, stdin bool) (string, error) {
	switch {
	case f.ArchivePasswordFile == "":
		return "", nil
	case f.ArchivePasswordFile != "-":
		return command.ReadSecret(io.Err, "Password of the archive", f.ArchivePasswordFile)
	case stdin:
		return "", command.Usage("the standard input can't be read twice: put the password of the archive into a file")
	}
	return command.ReadSecret(io.Err, "Password of the archive", "")
}
