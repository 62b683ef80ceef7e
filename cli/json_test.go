// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/server"
	"github.com/adit-go/adit/test/process"
)

// jsonStep is a command line that is given with --json.
type jsonStep struct {
	line string
	code int      // the exit code; with one of failure the error is JSON
	has  []string // what the answer holds
}

// TestJSON: every command answers with --json by one JSON value on the standard output, or by one on the standard error
// if it fails.
func TestJSON(t *testing.T) {
	dir, work := t.TempDir(), t.TempDir()
	database := dbtest.URL(t)
	s := process.ServePhantoms(t, dir, "--database-url", database, "--quarantine", "1h")
	h := process.NewHeld(t)
	h.AddTo(s, t.TempDir())
	demo := phantom.DemoStudies()
	_, err := demo[11].WriteFiles(filepath.Join(work, "files"))
	require.NoError(t, err)
	for name, text := range map[string]string{
		"password": "staple battery horse\n", "linkage.csv": "PatientID,Pseudonym\nA,P-9\n",
		"filters.csv": "modality,min_age\nCT,18\n",
		"query.csv":   "PatientID,Modality\nPHANTOM-001,CT\n", "faulty.csv": "PatientID,Modality\nPHANTOM-*,CT\n",
		"workers.json": `{"default": 4}`, "own.yaml": "name: own\nversion: \"1\"\nbase: ps3.15-basic\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(work, name), []byte(text), 0o600))
	}
	sourcePort, err := portOf(s, "PACS-A")
	require.NoError(t, err)
	member, err := os.Hostname()
	require.NoError(t, err)
	values := map[string]string{
		"MEMBER": member,
		"DICOM":  process.DICOMLine.FindStringSubmatch(s.Banner)[1], "PORT": sourcePort, "DATABASE": database,
		"STUDY": demo[0].StudyInstanceUID, "SERIES": demo[0].Series[0].SeriesInstanceUID, "STUDY2": demo[2].StudyInstanceUID, "HELD": h.Study.StudyInstanceUID,
		"MONTH": time.Now().UTC().Format("2006-01"), "TOKEN": filepath.Join(dir, server.TokenFile),
	}
	given := map[string]bool{}
	give := func(step jsonStep) {
		t.Helper()
		var args []string
		for word := range strings.FieldsSeq(step.line) {
			args = append(args, os.Expand(word, func(name string) string { return values[name] }))
		}
		given[commandIn(t, args)] = true
		out, stderr, code := aditIn(t, s, work, append(args, "--json"))
		require.Equal(t, step.code, code, "%s\n%s%s", step.line, out, stderr)
		said := out
		if out == "" {
			said = stderr[strings.LastIndex(strings.TrimSpace("\n"+stderr), "\n")+1:]
			require.NotZero(t, code, "%s: nothing was answered", step.line)
		}
		require.NoError(t, oneValue(said), "%s\n%s\n%s", step.line, out, stderr)
		for _, part := range step.has {
			require.Contains(t, said, part, step.line)
		}
	}
	for _, step := range jsonSteps {
		give(step)
	}

	// What needs something else to have happened before.
	cl, err := client.New(s.URL)
	require.NoError(t, err)
	for _, name := range []string{"ada", "eve"} {
		require.NoError(t, cl.Registrations.Add(t.Context(), client.NewRegistration{
			Username: name, Person: client.Person{FirstName: name, LastName: "X", Mail: name + "@example.org"},
		}))
	}
	for _, step := range registrationSteps {
		give(step)
	}
	give(jsonStep{line: "transfer --source held --destination disk --study ${HELD}", has: []string{`"id": 5`}})
	h.AwaitReached(t)
	out, code := s.Adit("job", "pause", "5")
	require.Zero(t, code)
	require.Equal(t, "Job 5 is pausing: its running tasks stop at the next instance.\n", out)
	give(jsonStep{line: "job continue 5", has: []string{`"paused": false`}})
	give(jsonStep{line: "task kill 6", has: []string{`"id": 6`}})
	h.Release()
	give(jsonStep{line: "job wait 5", code: command.ExitCanceled, has: []string{`"status": "canceled"`}})

	for _, step := range slices.Concat(batchSteps, massSteps) {
		give(step)
	}

	for _, name := range leaves(commandTree(t), "") {
		switch name {
		case "serve", "help", "completion", "render": // they answer nothing
		default:
			require.True(t, given[name], "adit %s is not given with --json here", name)
		}
	}
}

var jsonSteps = []jsonStep{
	{line: "node list", has: []string{`"ae_title": "RESEARCH"`}},
	{line: "node show PACS-A", has: []string{`"name": "PACS-A"`}},
	{line: "node check PACS-A", has: []string{`"checks"`}},
	{line: "node set PACS-A --result-limit 500", has: []string{`"result_limit": 500`}},
	{line: "node add server x --ae-title X --host 127.0.0.1 --port 104 --supports find", has: []string{`"ae_title": "X"`}},
	{line: "node pause x", has: []string{`"paused": true`}},
	{line: "node continue x"},
	{line: "node remove x", has: []string{`"done": "deleted"`, `"node": "x"`}},
	{
		line: "node remove x", code: command.ExitFailure,
		has: []string{`"status":404`, `"exit_code":1`, `"command":"adit node remove"`},
	},
	{line: "node remove", code: command.ExitUsage, has: []string{`"code":"usage"`}},
	{line: "node add folder files --path .", has: []string{`"path"`}},
	{line: "node limit files --quota-gb 5", has: []string{`"quota_gb": 5`}},
	{line: "node adopt files"},
	{line: "search --source PACS-A --patient-id PHANTOM-001", has: []string{`"study_instance_uid"`}},
	{line: "download --source PACS-A --study ${STUDY} --output study.zip", has: []string{`"done": "written"`, `"file"`}},
	{line: "download --source PACS-A --study ${STUDY} --output -", code: 2, has: []string{"--output"}},
	{line: "search --source PACS-A --patient-id nobody", has: []string{"[]"}},
	{line: "search --source PACS-A --series-of ${STUDY}", has: []string{`"series_instance_uid"`}},
	{line: "search --source PACS-A --study ${STUDY} --instances-of ${SERIES}", has: []string{`"sop_instance_uid"`}},
	{line: "search --source PACS-A --instances-of ${SERIES}", code: 2, has: []string{"--study"}},
	{line: "search --source PACS-A --series-of ${STUDY} --modality CT", code: 2, has: []string{"--patient-id"}},
	{line: "search --source PACS-A --study-time 8-9", code: 2, has: []string{"0800-1630"}},
	{line: "search --source PACS-A --description CT* --birth-date 19000101- --study-time 0000-23:59", has: []string{`"study_instance_uid"`}},
	{line: "schedule show PACS-A", has: []string{`"in_force"`}},
	{line: "schedule set PACS-A --batch 0 --name day --dry-run", has: []string{`"name": "day"`, `"effects"`}},
	{line: "schedule set PACS-A --batch 4", has: []string{`"batch": 4`}},
	{line: "schedule export PACS-A"},
	{line: "schedule import --workers somewhere workers.json", has: []string{`"default": 4`}},
	{line: "schedule clear --workers somewhere", has: []string{`"workers": "somewhere"`}},
	{line: "profile add own.yaml", has: []string{`"name": "own"`}},
	{line: "profile list", has: []string{`"name": "adit-default"`}},
	{line: "project add lung --manifest", has: []string{`"name": "lung"`}},
	{line: "project set lung --description Lung", has: []string{`"description": "Lung"`}},
	{line: "project list"},
	{line: "project profile lung", has: []string{`"name": "lung"`}},
	{line: "project linkage import lung linkage.csv", has: []string{`"added": 1`}},
	{line: "project linkage list lung", has: []string{`"pseudonym": "P-9"`}},
	{line: "project linkage export lung", has: []string{`"pseudonym": "P-9"`}},

	{
		line: "transfer --source PACS-A --destination files --study ${STUDY} --project lung --pseudonym P-1 --wait",
		has:  []string{`"status": "success"`},
	},
	{line: "job list"},
	{line: "job get 1", has: []string{`"task_list"`}},
	{line: "job log 1", has: []string{`"task_id": 1`}},
	{line: "job deidentification 1", has: []string{`"pseudonym": "P-1"`}},
	{line: "job manifest 1 -o manifest.jsonl", has: []string{`"chain"`}},
	{line: "task get 1", has: []string{`"series"`}},
	{line: "task log 1", has: []string{`"line"`}},
	{
		line: "transfer --source PACS-A --destination files --study 1.2.3 --wait", code: command.ExitFailure,
		has: []string{`"status": "failure"`},
	},
	{line: "job retry 2", has: []string{`"id": 2`}},
	{line: "job wait 1 2", code: command.ExitFailure, has: []string{`"id": 1`, `"id": 2`}},
	{line: "job failures 2", has: []string{`"retry_helps"`}},
	{line: "job failures 2 -o failed.csv", has: []string{`"file"`}},
	{line: "job restart 2"},
	{line: "job wait 2", code: command.ExitFailure},
	{line: "task reset 2", has: []string{`"id": 2`}},
	{line: "job wait 2", code: command.ExitFailure},
	{line: "schedule set PACS-A --batch 0"},
	{line: "transfer --source PACS-A --destination RESEARCH --study ${STUDY},${STUDY2}", has: []string{`"id": 3`}},
	{line: "job set 3 --urgent", has: []string{`"urgent": true`}},
	{line: "job pause 3", has: []string{`"paused": true`}},
	{line: "job continue 3"},
	{line: "task delete 4", has: []string{`"task": 4`}},
	{line: "job cancel 3", has: []string{`"status": "canceled"`}},
	{line: "job resume 3", has: []string{`"status": "pending"`}},
	{line: "job delete 3", has: []string{`"job": 3`}},
	{line: "transfer --source PACS-A --destination files --study @failed.csv", has: []string{`"status": "pending"`}},

	{line: "user add reader --mail reader@example.org --password-file password", has: []string{`"username": "reader"`}},
	{line: "user list"},
	{line: "user show reader"},
	{line: "user use reader"},
	{line: "user change reader --department CT", has: []string{`"department": "CT"`}},
	{line: "user disable reader"},
	{line: "user enable reader"},
	{line: "user password reader --password-file password", has: []string{`"password_set"`}},
	{line: "group add Readers --permissions tokens", has: []string{`"tokens"`}},
	{line: "group list"},
	{line: "group change Readers --grant explorer", has: []string{`"explorer"`}},
	{line: "group join Readers reader", has: []string{`"joined"`}},
	{line: "group members Readers"},
	{line: "group allow Readers PACS-A --source", has: []string{`"source": true`}},
	{line: "group access --group Readers"},
	{line: "login reader --own-password-file password", has: []string{`"username": "reader"`, `"expires_at"`}},
	{line: "logout", has: []string{`"logged_out"`}},
	{line: "login --token-file ${TOKEN}", has: []string{`"username": "admin"`}},
	{line: "logout"},
	{line: "token create --username reader --own-password-file password", has: []string{`"secret"`}},
	{line: "token list"},
	{line: "token revoke 3", has: []string{`"revoked"`}},
	{line: "group leave Readers reader", has: []string{`"left"`}},
	{line: "group delete Readers"},
	{line: "user delete reader"},

	{line: "settings show"},
	{line: "settings set low_disk_gb=0.5", has: []string{`"low_disk_gb": 0.5`}},
	{line: "announcement set Tonight", has: []string{`"Tonight"`}},
	{line: "announcement show"},
	{line: "announcement end"},
	{line: "user change admin --mail admin@example.org"},
	{line: "mail send --subject Tonight --text Away", has: []string{`"recipients"`}},
	{line: "mail list"},
	{line: "mail retry 4711", code: command.ExitFailure},
	{line: "stats"},
	{line: "housekeeping"},
	{line: "receiver callers"},

	{
		line: "store 127.0.0.1 ${DICOM} -aec ADIT -aet PACS_A files", code: command.ExitFailure,
		has: []string{`"stored": 0`},
	},
	{line: "quarantine senders"},
	{line: "quarantine list", has: []string{`"id": 1`}},
	{line: "quarantine show 1", has: []string{`"sop_instance_uid"`}},
	{line: "quarantine release 1 --to RESEARCH", has: []string{`"released"`}},
	{line: "quarantine delete 2", has: []string{`"deleted"`}},
	{line: "echo 127.0.0.1 ${PORT} -aec PACS_A", has: []string{`"seconds"`}},
	{
		line: "find 127.0.0.1 ${PORT} -aec PACS_A -k PatientID=PHANTOM-001 -k PatientName",
		has:  []string{`"00100010"`, `"Alphabetic"`},
	},
	{line: "get 127.0.0.1 ${PORT} -aec PACS_A -k StudyInstanceUID=${STUDY} -od got", has: []string{`"received": 41`}},
	{line: "deid --pseudonym P --key-file key --new-key files out", has: []string{`"written"`, `"chain"`}},
	{line: "deid --verify out", has: []string{`"faults": []`}},

	{line: "cluster init-ca --dir own-ca", has: []string{`"key"`}},
	{line: "cluster init-ca --dir own-ca", code: command.ExitFailure, has: []string{"exists"}},
	{line: "cluster cert adit1 --ca own-ca --days 30", has: []string{`"member": "adit1"`, `"ends"`}},
	{line: "cluster status", has: []string{`"started_roles"`, `"warnings": []`}},
	{line: "cluster drain ${MEMBER} --wait", has: []string{`"draining": true`}},
	{line: "cluster status", has: []string{"No member runs tasks now"}},
	{line: "cluster resume ${MEMBER}", has: []string{`"draining": false`}},
	{line: "cluster roles ${MEMBER} web,worker", has: []string{`"worker"`}},
	{line: "cluster roles ${MEMBER} receiver", code: command.ExitFailure, has: []string{`"status":409`}},
	{line: "cluster roles ${MEMBER} cook", code: command.ExitUsage, has: []string{"web, worker"}},
	{line: "cluster roles ${MEMBER} all", has: []string{`"roles": []`}},
	{line: "cluster drain nowhere", code: command.ExitFailure, has: []string{`"status":404`}},

	{line: "audit list"},
	{line: "audit verify --database-url ${DATABASE}", has: []string{`"head"`}},
	{line: "audit months --database-url ${DATABASE}", has: []string{`"month"`}},
	{line: "audit export --database-url ${DATABASE} -o log.jsonl", has: []string{`"exported"`}},
	{line: "audit detach --database-url ${DATABASE} -o month.jsonl ${MONTH}", code: command.ExitFailure},
	{line: "version", has: []string{`"version"`}},
	{line: "licenses", has: []string{`"modules"`}},
}

var registrationSteps = []jsonStep{
	{line: "user registrations", has: []string{`"username": "ada"`}},
	{line: "user approve 1", has: []string{`"username": "ada"`}},
	{line: "user refuse 2 --reason no", has: []string{`"refused"`}},
}

var batchSteps = []jsonStep{
	{line: "schedule set PACS-A --batch 4"},
	{line: "batch sample query --output sample.xlsx", has: []string{`"done": "written"`}},
	{line: "batch query query.csv --source PACS-A --dry-run", has: []string{`"rows": 1`, `"faults": []`}},
	{line: "batch query faulty.csv --source PACS-A --dry-run", code: command.ExitFailure, has: []string{`"cell": "A2"`}},
	{line: "batch query faulty.csv --source PACS-A", code: command.ExitUsage, has: []string{"A2"}},
	{line: "batch query query.csv --source PACS-A --wait", has: []string{`"id": 6`, `"status": "success"`}},
	{line: "batch query query.csv --source PACS-A,RESEARCH", has: []string{`"id": 7`, `"first_job_id": 7`}},
	{line: "batch results 6", has: []string{`"study_instance_uid"`}},
	{line: "batch results 6 --output found.csv", has: []string{`"file"`}},
	{line: "batch results 1", code: command.ExitFailure, has: []string{`"status":409`}},
	{line: "batch failed 6", code: command.ExitUsage, has: []string{"--output"}},
	{line: "batch failed 6 -o failed-rows.csv", has: []string{`"file"`}},
	{line: "batch transfer found.csv --source PACS-A --destination RESEARCH", has: []string{`"id": 9`, `"kind": "batch_transfer"`}},
}

var massSteps = []jsonStep{
	{line: "mass filters filters.csv", has: []string{`"modality": "CT"`, `"min_age": 18`}},
	{line: "mass transfer --source PACS-A --destination RESEARCH --from 2024-01-01 --until 2024-02-01", code: command.ExitUsage, has: []string{"--include"}},
	{line: "mass transfer --source PACS-A --destination RESEARCH --from 2024-01-01 --until 2024-02-01 --include colour=red", code: command.ExitUsage, has: []string{"colour"}},
	{
		line: "mass transfer --source PACS-A --destination RESEARCH --from 2024-01-01 --until 2024-12-31 --weekly --include modality=CT,min_age=18 --dry-run --wait",
		has:  []string{`"id": 10`, `"status": "success"`},
	},
	{line: "mass show 10", has: []string{`"dry_run": true`, `"studies": `}},
	{line: "mass partitions 10", has: []string{`"from": "2024-01-01"`}},
	{line: "mass volumes 10", has: []string{`"status": "found"`}},
	{line: "mass volumes 10 --output volumes.csv", has: []string{`"file"`}},
	{line: "mass begin 10", has: []string{`"id": 10`, `"status": "in_progress"`}},
	{
		line: "mass transfer --source PACS-A --destination RESEARCH --from 2024-01-01 --include modality=CT --every mon-fri,02:00",
		code: command.ExitUsage, has: []string{"--every"},
	},
	{
		line: "mass transfer --source PACS-A --destination RESEARCH --from 2024-01-01 --include modality=CT --every 02:00 --overlap 7",
		has:  []string{`"id": 1`, `"overlap_days": 7`, `"at": "02:00"`},
	},
	{line: "batch query query.csv --source PACS-A --every 03:00", has: []string{`"id": 2`, `"kind": "batch_query"`}},
	{line: "recurrence list", has: []string{`"id": 2`}},
	{line: "recurrence show 1", has: []string{`"next_at"`}},
	{line: "recurrence set 1 --every 04:30", has: []string{`"at": "04:30"`}},
	{line: "recurrence pause 1", has: []string{`"paused": true`}},
	{line: "recurrence continue 1", has: []string{`"paused": false`}},
	{line: "recurrence run 2", has: []string{`"runs": 1`, `"job_id"`}},
	{line: "recurrence delete 1", has: []string{`"done": "removed"`}},
	{line: "mass begin 1", code: command.ExitFailure, has: []string{`"status":409`}},
}

// aditIn runs the program in a folder, with a home of its own, and tells its two outputs apart.
func aditIn(t *testing.T, s *process.Server, work string, args []string) (out, stderr string, code int) {
	t.Helper()
	path, err := exec.LookPath("adit")
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = work
	cmd.Env = append(
		os.Environ(), "ADIT_URL="+s.URL, "ADIT_DATA_DIR="+s.DataDir, "HOME="+filepath.Join(work, "home"), "XDG_CONFIG_HOME=",
	)
	var stdout, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &errs
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
	}
	return stdout.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// oneValue reports whether a text is one JSON value and nothing else.
func oneValue(text string) error {
	d := json.NewDecoder(strings.NewReader(text))
	var v any
	if err := d.Decode(&v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the value")
	}
	return nil
}

// portOf returns the port of a server.
func portOf(s *process.Server, name string) (string, error) {
	out, _ := s.Adit("node", "show", name, "--json")
	var n client.Node
	if err := json.Unmarshal([]byte(out), &n); err != nil {
		return "", err
	}
	return strconv.Itoa(n.Server.Port), nil
}

// commandIn returns the name of the command that a line gives.
func commandIn(t *testing.T, args []string) string {
	t.Helper()
	at := commandTree(t)
	var names []string
	for _, word := range args {
		next := childOf(at, word)
		if next == nil {
			break
		}
		at, names = next, append(names, word)
	}
	return strings.Join(names, " ")
}

// leaves are the commands that have none below them.
func leaves(n *kong.Node, path string) (all []string) {
	for _, c := range commandsOf(n) {
		name := strings.TrimSpace(path + " " + c.Name)
		if len(commandsOf(c)) == 0 {
			all = append(all, name)
		}
		all = append(all, leaves(c, name)...)
	}
	return all
}
