// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/adit-go/adit/client"
)

type transferCmd struct {
	remote
	Source         string        `required:"" placeholder:"NAME" help:"The server to read from."`
	Destination    string        `required:"" placeholder:"NAME" help:"The server or folder to write to."`
	Study          []string      `required:"" placeholder:"UID" help:"Study Instance UID; several with commas, or the flag several times."`
	Series         []string      `placeholder:"UID" help:"Only these series of the study."`
	PatientID      string        `name:"patient-id" placeholder:"ID" help:"Whose study it must be; another patient's is noted as a warning."`
	Project        string        `placeholder:"NAME" help:"Whose key and profile pseudonymize (the default project of your active group)."`
	Pseudonym      pseudonyms    `placeholder:"P" help:"De-identify, with this pseudonym for the patient of all studies; or UID=P for each study."`
	Pseudonymize   bool          `help:"De-identify; studies without --pseudonym get that of their patient: by the project's linkage table, or one that is made."`
	Rejected       string        `enum:"leave-out,send," default:"" placeholder:"leave-out|send" help:"What becomes of instances that a rejection note of the source names (IHE IOCM): leave-out by default when de-identifying, else send. The task notes how many were left out."`
	TrialID        string        `name:"trial-id" placeholder:"ID" help:"Clinical Trial Protocol ID to write into each object."`
	TrialName      string        `placeholder:"NAME" help:"Clinical Trial Protocol Name to write into each object."`
	Urgent         bool          `help:"Before all that is not urgent; needs a permission."`
	Mail           bool          `help:"Send the owner of the job a mail when it has ended."`
	OutsideWindows bool          `help:"An urgent job runs where the window of a server is closed for jobs, within the default's cap; needs a permission."`
	Wait           bool          `help:"Show the progress until the job has ended; the exit code is its status."`
	GiveUpAfter    time.Duration `placeholder:"D" help:"With --wait: cancel the job if it has not ended after so long (90s, 2h), and say why."`
}

// pseudonyms is a list with commas. An empty one is refused, perhaps of a variable that is not set: nothing goes out with its patient for that.
type pseudonyms []string

// Decode implements kong.MapperValue.
func (p *pseudonyms) Decode(ctx *kong.DecodeContext) error {
	var text string
	if err := ctx.Scan.PopValueInto("pseudonym", &text); err != nil {
		return err
	}
	for one := range strings.SplitSeq(text, ",") {
		if _, pseudonym, named := strings.Cut(one, "="); strings.TrimSpace(one) == "" || named && strings.TrimSpace(pseudonym) == "" {
			return errors.New("a pseudonym is empty: give one, or leave the flag out to send studies as they are")
		}
		*p = append(*p, one)
	}
	return nil
}

// Help tells what the exit codes mean.
func (c *transferCmd) Help() string {
	return `With --pseudonym or --pseudonymize the studies go out de-identified by the profile of the project: adit project profile NAME tells what that means. In a project a patient has one pseudonym and a pseudonym one patient; what contradicts that is refused. For several patients: --study UID1,UID2 --pseudonym UID1=P1,UID2=P2. adit job deidentification shows afterwards what was done.

Without --wait the job is made, and exit code 0 means no more than that.

With --wait the exit code is how the job ended: 0 Success (every object was acknowledged by the destination), 1 Failure, 3 Warning, 4 Canceled. A job that --give-up-after has canceled ends with 4. Interrupting the command (Ctrl-C) leaves the job running and exits with 1.`
}

// Run makes the job, and waits for it if asked to.
func (c *transferCmd) Run(ctx context.Context, io streams) error {
	if len(c.Series) > 0 && len(c.Study) > 1 {
		return usage("--series belongs to one study: give one --study, or a transfer per study")
	}
	if c.GiveUpAfter < 0 || c.GiveUpAfter > 0 && !c.Wait {
		return usage("--give-up-after is a time such as 90s, and goes with --wait")
	}
	pseudonyms, err := c.pseudonyms()
	if err != nil {
		return err
	}
	if len(pseudonyms) == 0 && !c.Pseudonymize {
		if err := c.sayIdentified(io); err != nil {
			return err
		}
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	job := client.NewJob{
		Kind: client.SelectiveTransfer, Source: c.Source, Destination: c.Destination, TrialProtocolID: c.TrialID, TrialProtocolName: c.TrialName, Urgent: c.Urgent, OutsideWindows: c.OutsideWindows,
		MailWhenFinished: c.Mail,
		Project:          c.Project, Pseudonymize: c.Pseudonymize,
	}
	if c.Rejected != "" {
		leaveOut := c.Rejected == "leave-out"
		job.LeaveOutRejected = &leaveOut
	}
	for _, uid := range c.Study {
		uid = strings.TrimSpace(uid)
		job.Studies = append(job.Studies, client.NewStudy{StudyInstanceUID: uid, SeriesInstanceUIDs: c.Series, PatientID: c.PatientID, Pseudonym: pseudonyms[uid]})
	}
	made, err := cl.CreateJob(ctx, job, "")
	if err != nil {
		return err
	}
	if !c.Wait {
		fmt.Fprintf(io.out, "Job %d was made; adit job get %d shows how far it is.\n", made.ID, made.ID)
		return nil
	}
	w := &waiting{client: cl, io: io, id: made.ID, giveUp: c.GiveUpAfter, start: time.Now()}
	fmt.Fprintf(io.out, "Job %d was made.\n", made.ID)
	if err := w.run(ctx); err != nil {
		if errors.Is(err, context.Canceled) {
			fmt.Fprintf(io.err, "adit: interrupted; job %d goes on. adit job get %d shows how far it is.\n", w.id, w.id)
			return &status{code: exitFailure}
		}
		return fmt.Errorf("job %d was made, and goes on as far as is known: %w", w.id, err)
	}
	return w.result(ctx)
}

// sayIdentified refuses a project that would not pseudonymize, and tells who gives a trial that studies are sent with their identity.
func (c *transferCmd) sayIdentified(io streams) error {
	if c.Project != "" {
		return usage("--project says whose key and profile pseudonymize: add --pseudonymize or --pseudonym, or leave --project away to send studies with their patients' identity")
	}
	if c.TrialID != "" {
		fmt.Fprintln(io.err, "The studies are sent with their patients' identity: --trial-id alone takes nothing away. --pseudonymize or --pseudonym does.")
	}
	return nil
}

// pseudonyms gives the pseudonym of each study that has one.
func (c *transferCmd) pseudonyms() (map[string]string, error) {
	out := map[string]string{}
	for _, p := range c.Pseudonym {
		uid, pseudonym, one := strings.Cut(p, "=")
		uid = strings.TrimSpace(uid)
		switch {
		case one && !slices.ContainsFunc(c.Study, func(s string) bool { return strings.TrimSpace(s) == uid }):
			return nil, usage("--pseudonym %s=…: this study is not among --study", uid)
		case one && out[uid] != "":
			return nil, usage("--pseudonym gives study %s two pseudonyms", uid)
		case one:
			out[uid] = strings.TrimSpace(pseudonym)
		case len(c.Pseudonym) > 1:
			return nil, usage("several pseudonyms must say of which study they are: --pseudonym UID1=P1,UID2=P2")
		default:
			for _, study := range c.Study {
				out[strings.TrimSpace(study)] = p
			}
		}
	}
	if len(out) > 0 && len(out) < len(c.Study) && !c.Pseudonymize {
		return nil, usage("some studies have a pseudonym and some have none: give each one, or add --pseudonymize")
	}
	return out, nil
}

const (
	firstPoll  = 200 * time.Millisecond
	slowPoll   = 2 * time.Second
	outage     = 2 * time.Minute // how long a server may be away while a job is waited for
	cancelWait = 2 * time.Minute // for a canceled job to stop
	fewTasks   = 50              // of so many tasks the instances are counted for the progress
)

// waiting follows a job until it has ended.
type waiting struct {
	client *client.Client
	io     streams
	id     int64
	giveUp time.Duration
	start  time.Time

	job      client.Job
	line     string // the progress that was printed last
	reason   string // the reason that was printed last
	canceled bool   // by us
	lost     time.Time
}

func (w *waiting) run(ctx context.Context) error {
	pause := firstPoll
	for {
		err := w.look(ctx)
		switch {
		case err != nil && !w.tolerable(err):
			return err
		case err == nil && client.Final(w.job.Status):
			return nil
		case err == nil:
			if err := w.giveUpIfDue(ctx); err != nil {
				return err
			}
		}
		timer := time.NewTimer(w.untilGiveUp(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		pause = min(pause*3/2, slowPoll)
	}
}

// tolerable tells whether an error is an outage that has not lasted too long: a server that is started again goes on with
// the job.
func (w *waiting) tolerable(err error) bool {
	var away *client.UnreachableError
	var problem *client.Problem
	if !errors.As(err, &away) && (!errors.As(err, &problem) || problem.Status != 503) {
		return false
	}
	if w.lost.IsZero() {
		w.lost = time.Now()
		fmt.Fprintln(w.io.out, "ADIT doesn't answer now; trying again.")
	}
	return time.Since(w.lost) < outage
}

// untilGiveUp shortens a pause so that the end of patience is not overslept.
func (w *waiting) untilGiveUp(pause time.Duration) time.Duration {
	if w.giveUp == 0 || w.canceled {
		return pause
	}
	return max(min(pause, time.Until(w.start.Add(w.giveUp))), time.Millisecond)
}

func (w *waiting) look(ctx context.Context) error {
	job, err := w.client.Job(ctx, w.id)
	if err != nil {
		return err
	}
	w.job = job
	line := fmt.Sprintf("%s: %d of %d tasks ended", words(job.Status), ended(job.Tasks), job.Tasks.Total())
	if job.Tasks.Total() <= fewTasks {
		counted, err := w.count(ctx)
		if err != nil {
			return err
		}
		line += counted
	}
	w.lost = time.Time{}
	if line != w.line {
		w.line = line
		fmt.Fprintln(w.io.out, line)
	}
	if job.Tasks.Pending > 0 && job.Tasks.InProgress == 0 && !client.Final(job.Status) {
		return w.sayWhy(ctx)
	}
	return nil
}

// count sums up the instances of all tasks.
func (w *waiting) count(ctx context.Context) (string, error) {
	var expected, delivered int
	var bytes int64
	for t, err := range w.client.Tasks(ctx, w.id, client.TaskFilter{Limit: fewTasks}) {
		if err != nil {
			return "", err
		}
		expected += t.Expected
		delivered += t.Delivered
		bytes += t.Bytes
	}
	if expected == 0 {
		return "", nil
	}
	return fmt.Sprintf(", %d of %d instances, %s", delivered, expected, size(bytes)), nil
}

// sayWhy prints why the first pending task waits, when the reason changes.
func (w *waiting) sayWhy(ctx context.Context) error {
	for t, err := range w.client.Tasks(ctx, w.id, client.TaskFilter{Status: client.Pending, Limit: 1}) {
		if err != nil {
			return err
		}
		reason, _, _ := strings.Cut(t.WhyWaiting, "; next attempt in")
		if reason != w.reason {
			w.reason = reason
			fmt.Fprintf(w.io.out, "waiting: %s\n", printable(t.WhyWaiting))
		}
		break
	}
	return nil
}

func (w *waiting) giveUpIfDue(ctx context.Context) error {
	waited := time.Since(w.start)
	switch {
	case w.giveUp == 0 || waited < w.giveUp:
		return nil
	case w.canceled && waited > w.giveUp+cancelWait:
		return fmt.Errorf("it has not stopped %s after it was canceled; adit job get %d shows its tasks", cancelWait, w.id)
	case w.canceled:
		return nil
	}
	w.canceled = true
	why := ""
	if w.reason != "" {
		why = "; it waited: " + printable(w.reason)
	}
	fmt.Fprintf(w.io.out, "giving up after %s%s\n", w.giveUp, why)
	_, err := w.client.ActOnJob(ctx, w.id, client.CancelJob)
	var problem *client.Problem
	if errors.As(err, &problem) && problem.Status == 409 {
		return nil // it has ended meanwhile
	}
	return err
}

// shownTasks is how many tasks are listed at the end: those that are no successes, and those that left something out.
const shownTasks = 20

// remarkable reports whether the message of a success says more than how many images were transferred: what was left out, or was there already.
func remarkable(message string) bool {
	return strings.Contains(message, ". ") || strings.Contains(message, ";")
}

// result tells how the job ended; the exit code is its status.
func (w *waiting) result(ctx context.Context) error {
	fmt.Fprintf(w.io.out, "Job %d: %s. %s\n", w.id, words(w.job.Status), w.job.Message)
	shown := 0
	for t, err := range w.client.Tasks(ctx, w.id, client.TaskFilter{Limit: 500}) {
		if err != nil {
			return err
		}
		if t.Status == client.Success && !remarkable(t.Message) {
			continue
		}
		if shown++; shown > shownTasks {
			fmt.Fprintf(w.io.out, "adit job get %d shows the other tasks.\n", w.id)
			break
		}
		if t, err = w.client.Task(ctx, t.ID); err != nil {
			return err
		}
		printTask(w.io.out, t)
	}
	switch w.job.Status {
	case client.Success:
		return nil
	case client.Warning:
		return &status{code: exitWarning}
	case client.Canceled:
		return &status{code: exitCanceled}
	}
	return &status{code: exitFailure}
}
