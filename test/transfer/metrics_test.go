// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"flag"
	"fmt"
	"io"
	"maps"
	nethttp "net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/housekeeping"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/http"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

const (
	metricsFile = "../../docs/metrics.md"
	alertsFile  = "../../docs/alerts.yml"
)

// metricsSite is a member with all metrics of `adit serve`.
type metricsSite struct {
	*site
	registry *prometheus.Registry
	web      nethttp.Handler
}

func newMetricsSite(t *testing.T, studies ...*phantom.Study) *metricsSite {
	t.Helper()
	m := &metricsSite{site: newSite(t, harness.Config{}, studies...), registry: prometheus.NewRegistry()}
	m.registry.MustRegister(db.PoolCollectors(m.Pool)...)
	m.registry.MustRegister(m.People.Collectors()...)
	m.registry.MustRegister(m.Engine.Collectors()...)
	m.registry.MustRegister(m.Collectors()...)
	m.web = http.New(
		http.Config{Engine: m.Engine, People: m.People, Version: "test", Log: testpeer.Log(t), Metrics: m.registry},
	)
	return m
}

func (m *metricsSite) get(path string) {
	m.t.Helper()
	rq := httptest.NewRequestWithContext(m.t.Context(), nethttp.MethodGet, "http://localhost"+path, nil)
	rq.RemoteAddr = "192.0.2.77:4711"
	m.web.ServeHTTP(httptest.NewRecorder(), rq)
}

// metric is a metric as people see it.
type metric struct {
	name, help, kind string
	labels           []string
}

// described returns all metrics that are registered, also those without a value.
func (m *metricsSite) described() map[string]metric {
	m.t.Helper()
	desc := regexp.MustCompile(
		`^Desc\{fqName: "([^"]+)", help: "(.*?)"(?:, unit: "[^"]*")?, constLabels: \{\}, variableLabels: \{(.*)\}\}$`,
	)
	ch := make(chan *prometheus.Desc, 1000)
	m.registry.Describe(ch)
	close(ch)
	all := map[string]metric{}
	for d := range ch {
		parts := desc.FindStringSubmatch(d.String())
		require.NotNil(m.t, parts, d.String())
		help := strings.ReplaceAll(parts[2], `\"`, `"`)
		var labels []string
		if parts[3] != "" {
			labels = strings.Split(parts[3], ",")
		}
		all[parts[1]] = metric{name: parts[1], help: help, labels: labels}
	}
	return all
}

// TestMetrics: every metric has a value once something was done, is named as Prometheus wants it, stands in
// docs/metrics.md, and its labels are names of DICOM nodes and words of a few. After a change:
//
//	go test ./test/transfer -run TestMetrics -update
func TestMetrics(t *testing.T) {
	study, second := ct(4, 3), ct(5, 2)
	m := newMetricsSite(t, study)
	mover := startPACS(t, pacs.Config{
		AETitle: "MOVER", Studies: []*phantom.Study{second}, MoveDestinations: movesTo(m.Member),
	})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	m.AddServer("mover", "MOVER", mover.Addr(), byMove)
	m.AddServer("target", "DST", dst.Addr(), nil)
	for _, tr := range [][3]string{
		{"source", "disk", study.StudyInstanceUID}, {"mover", "target", second.StudyInstanceUID},
	} {
		job := m.Wait(m.Transfer(tr[0], tr[1], tr[2]).ID)
		require.Equal(t, jobs.Success, job.Status, "%+v", m.Task(job.ID))
	}
	require.Equal(t, jobs.Failure, m.Wait(m.Transfer("source", "disk", "1.2.3.4").ID).Status)
	_, err := dimse.Dial(t.Context(),
		dimse.Config{Addr: m.ReceiverAddr, CalledAE: "ADIT", CallingAE: "STRANGER", Contexts: verification()},
	)
	var rejected *ul.RejectedError
	require.ErrorAs(t, err, &rejected)
	m.exec(
		"INSERT INTO chores (name, next_at) VALUES ('clean-up', now()) ON CONFLICT (name) DO UPDATE SET next_at = now()",
	)
	require.NoError(t, m.Engine.Housekeeping.DoChores(
		t.Context(), housekeeping.Chores{DataDir: t.TempDir(), Member: "test"},
	))
	for _, path := range []string{
		"/healthz", "/api/v1/jobs/1", "/api/v1/nodes/PACS%20X",
		"/" + study.StudyInstanceUID, "/api/v1/nowhere/" + study.StudyInstanceUID,
	} {
		m.get(path)
	}

	all := m.described()
	families, err := m.registry.Gather()
	require.NoError(t, err)
	// a busy machine may be slow to tell
	for end := time.Now().Add(harness.Deadline); len(families) < len(all) && time.Now().Before(end); {
		families, err = m.registry.Gather()
		require.NoError(t, err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)

	nodes := []string{"source", "disk", "mover", "target"}
	words := regexp.MustCompile(`^[a-z_]+$`)
	route := regexp.MustCompile(`^(none|/[a-z]*|/api/v1(/(\{[a-z_]+\}|[a-z:_-]+|\*)(:[a-z-]+)?)*)$`)
	bounds := map[string]func(string) bool{
		"source":      func(v string) bool { return slices.Contains(nodes, v) },
		"destination": func(v string) bool { return slices.Contains(nodes, v) },
		"server":      func(v string) bool { return slices.Contains(nodes, v) },
		"folder":      func(v string) bool { return v == "" || v == "disk" },
		"member":      func(v string) bool { return v == "test" },
		"status":      regexp.MustCompile(`^([1-5]\d\d|[a-z_]+)$`).MatchString,
		"method":      regexp.MustCompile(`^([A-Z]+|other)$`).MatchString,
		"route":       route.MatchString, "reason": words.MatchString,
		"from": words.MatchString, "direction": words.MatchString, "kind": words.MatchString,
		"outcome": words.MatchString, "use": words.MatchString,
	}
	for _, f := range families {
		d, known := all[f.GetName()]
		require.True(t, known, f.GetName())
		d.kind = strings.ToLower(f.GetType().String())
		all[f.GetName()] = d
		for _, one := range f.GetMetric() {
			for _, l := range one.GetLabel() {
				within := bounds[l.GetName()]
				require.NotNil(t, within, "%s: what bounds the label %s?", f.GetName(), l.GetName())
				require.True(t, within(l.GetValue()), "%s{%s=%q}", f.GetName(), l.GetName(), l.GetValue())
			}
		}
	}
	for name, d := range all {
		require.NotEmpty(t, d.kind, "%s has no value", name)
	}

	text := metricsDocument(all)
	if *update {
		require.NoError(t, os.WriteFile(metricsFile, []byte(text), 0o644))
	}
	is, err := os.ReadFile(metricsFile)
	require.NoError(t, err)
	require.Equal(t, text, string(is), "go test ./test/transfer -run TestMetrics -update")
	requireAlerts(t, all)
}

func metricsDocument(all map[string]metric) string {
	var out strings.Builder
	out.WriteString(`# Metrics

This page is generated from the metrics that ADIT declares; a test compares both. ` + "`/metrics`" + ` is on the admin listener
([where](admin.md#https-proxies-metrics)). It also has the metrics of the Go runtime and of the process (` + "`go_…`" + `,
` + "`process_…`" + `).

- No label names a patient, a user, a study or an address. Labels are names of DICOM nodes and of members of the
  cluster, routes of the API as in [rights.md](rights.md), and words of a fixed list.
- Metrics of the whole site (` + "`adit_tasks_…`" + `, ` + "`adit_server_…`" + `, ` + "`adit_member_…`" + `, ` + "`adit_audit_…`" + `, ` + "`adit_mail…`" + `) have the
  same value in every process of a cluster: use ` + "`max by (…)`" + `, not ` + "`sum`" + `. ADIT reads them from the database at most
  every 5 s. They are missing while the database does not answer.
- Counters begin at 0 with each process.

[alerts.yml](alerts.yml) has rules for Prometheus that are worth waking somebody for.

| Metric | Type | Labels | What it says |
|---|---|---|---|
`)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		d := all[name]
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", name, d.kind, strings.Join(d.labels, ", "), d.help)
	}
	return out.String()
}

// requireAlerts asserts that the rules are such, and ask for metrics that there are.
func requireAlerts(t *testing.T, all map[string]metric) {
	t.Helper()
	f, err := os.Open(alertsFile)
	require.NoError(t, err)
	defer f.Close()
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	dec := yaml.NewDecoder(f)
	dec.KnownFields(true)
	require.NoError(t, dec.Decode(&rules))
	require.ErrorIs(t, dec.Decode(&rules), io.EOF)
	names := regexp.MustCompile(`\b(adit|go|process)_[a-z_]+`)
	suffix := regexp.MustCompile(`_(count|sum|bucket)$`)
	seen := map[string]bool{}
	for _, g := range rules.Groups {
		require.NotEmpty(t, g.Name)
		for _, r := range g.Rules {
			require.Regexp(t, `^[A-Z][A-Za-z]+$`, r.Alert)
			require.False(t, seen[r.Alert], r.Alert)
			seen[r.Alert] = true
			if r.For != "" {
				_, err := time.ParseDuration(r.For)
				require.NoError(t, err, r.Alert)
			}
			require.Equal(t, strings.Count(r.Expr, "("), strings.Count(r.Expr, ")"), r.Alert)
			require.Equal(t, strings.Count(r.Expr, "{"), strings.Count(r.Expr, "}"), r.Alert)
			require.NotEmpty(t, r.Annotations["summary"], r.Alert)
			asked := names.FindAllString(r.Expr, -1)
			require.NotEmpty(t, asked, r.Alert)
			for _, name := range asked {
				if _, ok := all[name]; !ok {
					require.Contains(t, all, suffix.ReplaceAllString(name, ""), r.Alert)
				}
			}
		}
	}
	require.NotEmpty(t, seen)
}

func verification() []dimse.Context {
	return []dimse.Context{{AbstractSyntax: "1.2.840.10008.1.1", TransferSyntaxes: []string{"1.2.840.10008.1.2"}}}
}

// value returns the value of a metric with these labels; false if there is none.
func (m *metricsSite) value(name string, labels ...string) (float64, bool) {
	m.t.Helper()
	families, err := m.registry.Gather()
	require.NoError(m.t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, one := range f.GetMetric() {
			var has []string
			for _, l := range one.GetLabel() {
				has = append(has, l.GetValue())
			}
			if slices.Equal(has, labels) {
				return one.GetGauge().GetValue() + one.GetCounter().GetValue(), true
			}
		}
	}
	return 0, false
}

// fresh returns a registry of the site's metrics that have not been read yet.
func (m *metricsSite) fresh() *metricsSite {
	fresh := &metricsSite{site: m.site, registry: prometheus.NewRegistry()}
	fresh.registry.MustRegister(db.PoolCollectors(m.Pool)...)
	fresh.registry.MustRegister(m.People.Collectors()...)
	fresh.registry.MustRegister(
		engine.New(m.Pool, m.People, door.NewDoor(m.Pool), testpeer.Log(m.t), base.Config{}).Collectors()...,
	)
	return fresh
}

// TestMetricsOfWhatWaits: each task that waits is counted once, by what it waits for.
func TestMetricsOfWhatWaits(t *testing.T) {
	m := &metricsSite{site: newSite(t, harness.Config{Idle: true}, ct(4, 3))}
	for range 3 {
		m.Transfer("source", "disk", "1.2.3", "1.2.4")
	}
	all := "UPDATE tasks SET not_before = schedule_now() + interval '1 hour', wait_seconds = 3600"
	for name, tt := range map[string]struct {
		sql  []string
		want map[string]float64
	}{
		"their turn":          {nil, map[string]float64{"worker": 6}},
		"a paused job":        {[]string{"UPDATE jobs SET paused = true WHERE id = 1"}, map[string]float64{"paused": 2, "worker": 4}},
		"staff":               {[]string{"UPDATE jobs SET verified = false WHERE id = 1"}, map[string]float64{"unverified": 2, "worker": 4}},
		"both":                {[]string{"UPDATE jobs SET verified = false, paused = true WHERE id = 1"}, map[string]float64{"unverified": 2, "worker": 4}},
		"a paused server":     {[]string{"UPDATE server_state SET paused = true, breaker = 'open'"}, map[string]float64{"server_paused": 6}},
		"the breaker":         {[]string{"UPDATE server_state SET breaker = 'open'"}, map[string]float64{"server_down": 6}},
		"the window":          {[]string{"UPDATE server_state SET batch_cap = 0, caps_until = NULL"}, map[string]float64{"server_closed": 6}},
		"not their window":    {[]string{"UPDATE server_state SET batch_cap = 0, outside_cap = 2, caps_until = NULL", "UPDATE jobs SET outside_windows = true WHERE id = 2"}, map[string]float64{"server_closed": 4, "worker": 2}},
		"the rate":            {[]string{"UPDATE server_state SET next_start_at = schedule_now() + interval '1 minute'"}, map[string]float64{"rate": 6}},
		"the cap":             {[]string{"UPDATE server_state SET batch_cap = 1, caps_until = NULL", "INSERT INTO association_slots (server_id, use, member_id) SELECT server_id, 'batch', gen_random_uuid() FROM server_state"}, map[string]float64{"cap": 6}},
		"the next attempt":    {[]string{all + " WHERE job_id = 1"}, map[string]float64{"retry": 2, "worker": 4}},
		"an offline study":    {[]string{all + ", unavailable_since = now() WHERE job_id = 1 AND seq = 1"}, map[string]float64{"offline": 1, "worker": 5}},
		"a verification":      {[]string{all + " WHERE job_id = 1", "INSERT INTO verifications (task_id, job_id, patient_id, study_uid, status, message) SELECT id, job_id, '', '', 'success', '' FROM tasks WHERE job_id = 1 AND seq = 1"}, map[string]float64{"verification": 1, "retry": 1, "worker": 4}},
		"later, and paused":   {[]string{all + " WHERE job_id = 1", "UPDATE jobs SET paused = true WHERE id = 1"}, map[string]float64{"paused": 2, "worker": 4}},
		"later, and a server": {[]string{all + " WHERE job_id = 1", "UPDATE server_state SET breaker = 'open'"}, map[string]float64{"retry": 2, "server_down": 4}},
	} {
		t.Run(name, func(t *testing.T) {
			m.exec("DELETE FROM verifications")
			m.exec("DELETE FROM association_slots")
			m.exec("UPDATE tasks SET not_before = schedule_now(), wait_seconds = 0, unavailable_since = NULL")
			m.exec("UPDATE jobs SET paused = false, verified = true, outside_windows = false")
			m.exec("UPDATE server_state SET paused = false, breaker = 'closed', batch_cap = 4, outside_cap = 4, caps_until = NULL, next_start_at = NULL")
			for _, sql := range tt.sql {
				m.exec(sql)
			}
			f := m.fresh()
			total := 0.0
			for _, reason := range []string{
				"unverified", "paused", "offline", "verification", "retry",
				"server_paused", "server_down", "server_closed", "rate", "cap", "worker",
			} {
				got, ok := f.value("adit_tasks_waiting", reason)
				require.True(t, ok, "also what nothing waits for is told")
				require.InDelta(t, tt.want[reason], got, 0, reason)
				total += got
			}
			require.InDelta(t, 6, total, 0)
		})
	}
}

// TestMetricsAskSeldom: however often they are asked for, the database is asked once in some seconds; and while it is
// away what it would say is missing rather than old.
func TestMetricsAskSeldom(t *testing.T) {
	m := &metricsSite{site: newSite(t, harness.Config{Idle: true})}
	f := m.fresh()
	acquired := func() int64 { return m.Pool.Stat().AcquireCount() }
	_, ok := f.value("adit_tasks_running")
	require.True(t, ok)
	before := acquired()
	for range 50 {
		_, err := f.registry.Gather()
		require.NoError(t, err)
	}
	require.Equal(t, before, acquired())

	f = m.fresh()
	at, err := url.Parse(m.URL)
	require.NoError(t, err)
	name := strings.TrimPrefix(at.Path, "/")
	at.Path = "/postgres"
	other, err := db.Connect(t.Context(), at.String(), "")
	require.NoError(t, err)
	defer other.Close(t.Context())
	_, err = other.Exec(t.Context(), "ALTER DATABASE "+name+" ALLOW_CONNECTIONS false")
	require.NoError(t, err)
	m.Pool.Reset() // closes its connections
	for _, name := range []string{"adit_tasks_running", "adit_audit_unsealed_rows"} {
		_, ok = f.value(name)
		require.False(t, ok, name)
	}
	up, ok := f.value("adit_database_up")
	require.True(t, ok)
	require.Zero(t, up)
}
