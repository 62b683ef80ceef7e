// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
)

func TestProjects(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	other := s.otherUser()
	_, err := s.client.Projects.Add(ctx, client.NewProject{Name: "Lung: a/b?", Description: "x"})
	require.Equal(t, 422, status(err), "a slash")
	made, err := s.client.Projects.Add(ctx,
		client.NewProject{Name: "Lung: study?", Description: "screening", Members: []string{"Other"}, Salt: "5f8a1c"},
	)
	require.NoError(t, err)
	require.Equal(t, client.Project{
		ID: made.ID, Name: "Lung: study?", Description: "screening", Group: "Radiology",
		Profile: "adit-default", ProfileVersion: "1", Members: []string{"other"},
		UIDGeneration: 1, FromOriginal: true, Scan: true, CreatedAt: made.CreatedAt,
		ExcludedModalities: []string{},
	}, made)
	r := s.send("GET", "/api/v1/projects/lung%3A%20study%3F", "")
	require.Equal(t, 200, r.StatusCode, r.body)
	require.NotContains(t, r.body, "5f8a1c", "a salt is never shown")

	for name, c := range map[string]struct {
		project client.NewProject
		status  int
	}{
		"same name":         {client.NewProject{Name: "LUNG: study?"}, 409},
		"no name":           {client.NewProject{}, 422},
		"unknown group":     {client.NewProject{Name: "a", Group: "nobody"}, 422},
		"unknown profile":   {client.NewProject{Name: "a", Profile: "none"}, 422},
		"unknown version":   {client.NewProject{Name: "a", Profile: "adit-default", ProfileVersion: "9"}, 422},
		"unknown member":    {client.NewProject{Name: "a", Members: []string{"nobody"}}, 422},
		"salt of two lines": {client.NewProject{Name: "a", Salt: "a\nb"}, 422},
	} {
		_, err := s.client.Projects.Add(ctx, c.project)
		require.Equal(t, c.status, status(err), "%s: %v", name, err)
	}

	// Members see it, others don't; only staff change it.
	names := func(c *client.Client) (list []string) {
		for p, err := range c.Projects.List(ctx) {
			require.NoError(t, err)
			list = append(list, p.Name)
		}
		return list
	}
	require.Equal(t, []string{"Default", "Lung: study?"}, names(s.client))
	require.Equal(t, []string{"Lung: study?"}, names(other))
	_, err = other.Projects.Get(ctx, "Default")
	require.Equal(t, 404, status(err))
	_, err = other.Projects.Change(ctx, made.Name, client.ProjectChange{Description: new("mine")})
	require.Equal(t, 403, status(err))
	_, err = other.Projects.Add(ctx, client.NewProject{Name: "mine"})
	require.Equal(t, 403, status(err))
	_, err = other.Profiles.Add(ctx, []byte("name: a\nversion: '1'\nbase: adit\n"))
	require.Equal(t, 403, status(err))

	changed, err := s.client.Projects.Change(
		ctx, made.Name, client.ProjectChange{Profile: new("adit"), Members: &[]string{}, Salt: new("")},
	)
	require.NoError(t, err)
	require.Equal(t, "adit", changed.Profile)
	require.Empty(t, changed.Members)
	require.False(t, changed.FromOriginal)
	require.Equal(t, "screening", changed.Description, "what is not named stays")
	require.Empty(t, names(other))
	_, err = s.client.Projects.Change(ctx, made.Name, client.ProjectChange{ProfileVersion: new("1")})
	require.Equal(t, 422, status(err))
	_, err = s.client.Projects.Change(ctx, "Default", client.ProjectChange{Salt: new("x")})
	require.Equal(t, 409, status(err), "trials of a default project must not share pseudonyms")
	_, err = s.client.Projects.Change(ctx, "nothing", client.ProjectChange{})
	require.Equal(t, 404, status(err))
}

func TestProfiles(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	const own = "name: own\nversion: '1'\nbase: ps3.15-basic\noptions: [modified-dates]\noverrides:\n  - {keyword: StationName, action: keep}\nallow: [burned-in]\nvocabulary: [nodule]\n"
	added, err := s.client.Profiles.Add(ctx, []byte(own))
	require.NoError(t, err)
	require.Len(t, added.SHA256, 64)
	require.Equal(t, own, added.Text)
	require.False(t, added.Builtin)
	words := strings.Join(added.Words, "\n")
	for _, part := range []string{
		"Basic Application Level", "Dates are moved", "StationName keep", "text in their pixels", "1 words",
	} {
		require.Contains(t, words, part)
	}
	again, err := s.client.Profiles.Add(ctx, []byte("# a comment changes nothing\n"+own))
	require.NoError(t, err)
	require.Equal(t, added, again)
	_, err = s.client.Profiles.Add(ctx, []byte(strings.Replace(own, "nodule", "knot", 1)))
	require.Equal(t, 409, status(err))
	require.ErrorContains(t, err, "give it another version")
	second, err := s.client.Profiles.Add(ctx, []byte(strings.Replace(own, "'1'", "'2'", 1)))
	require.NoError(t, err)
	require.NotEqual(t, added.SHA256, second.SHA256)
	for name, bad := range map[string]string{
		"contradiction": "name: bad\nversion: '1'\nbase: ps3.15-basic\noptions: [modified-dates]\noverrides:\n  - {keyword: StudyDate, action: keep}\n",
		"both dates":    "name: bad\nversion: '1'\nbase: ps3.15-basic\noptions: [modified-dates, full-dates]\n",
		"no YAML":       "{",
		"unknown key":   "name: bad\nversion: '1'\nbase: adit\nkeep: everything\n",
		"nothing":       " ",
	} {
		_, err := s.client.Profiles.Add(ctx, []byte(bad))
		require.Equal(t, 422, status(err), "%s: %v", name, err)
	}
	_, err = s.client.Profiles.Add(ctx, []byte("name: adit\nversion: '2'\nbase: adit\n"))
	require.Equal(t, 409, status(err), "the name of a built-in one")

	var listed []string
	for p, err := range s.client.Profiles.List(ctx) {
		require.NoError(t, err)
		require.NotEmpty(t, p.Words)
		for _, line := range p.Words {
			require.NotEmpty(t, line)
		}
		listed = append(listed, fmt.Sprint(p.Name, " ", p.Version, " ", p.Builtin))
	}
	require.Equal(
		t, []string{"adit-default 1 true", "ps3.15-basic 1 true", "adit 1 true", "own 1 false", "own 2 false"}, listed,
	)

	project, err := s.client.Projects.Add(ctx, client.NewProject{Name: "a", Profile: "own"})
	require.NoError(t, err)
	require.Equal(t, "2", project.ProfileVersion, "the one uploaded last")
	project, err = s.client.Projects.Change(
		ctx, "a", client.ProjectChange{Profile: new("own"), ProfileVersion: new("1")},
	)
	require.NoError(t, err)
	require.Equal(t, "1", project.ProfileVersion)
}

func TestLinkage(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	_, err := s.client.Projects.Add(ctx, client.NewProject{Name: "lung", Salt: "5f8a1c5f8a1c5f8a1c5f8a1c5f8a1c5f"})
	require.NoError(t, err)
	const table = "Pseudonym,PatientID,Issuer\n'-P1,PAT-4711,\nP-2,'=cmd|x,\nP-3,PAT-4711,Elsewhere\nAQKW9615Q9411M,PAT-0815,\n"

	// First it is only checked.
	result, err := s.client.Projects.ImportLinkage(ctx, "lung", []byte(table), "", true)
	require.NoError(t, err)
	require.Equal(t, client.LinkageImport{Added: 4, OtherThanSalt: 4, DryRun: true}, result)
	links := func(f client.LinkFilter) (list []string) {
		for l, err := range s.client.Projects.Linkage(ctx, "lung", f) {
			require.NoError(t, err)
			list = append(list, l.Pseudonym+" "+l.PatientID+" "+l.Issuer)
		}
		return list
	}
	require.Empty(t, links(client.LinkFilter{}))
	result, err = s.client.Projects.ImportLinkage(ctx, "lung", []byte(table), "", false)
	require.NoError(t, err)
	require.Equal(t, 4, result.Added)
	_, err = s.client.Projects.ImportLinkage(ctx, "lung", []byte(table+"P-5,5,\n"), "Here", false)
	require.Equal(t, 422, status(err), "the same pairs of another issuer are other patients")
	result, err = s.client.Projects.ImportLinkage(ctx, "lung", []byte(table+"P-5,5,\n"), "", false)
	require.NoError(t, err)
	require.Equal(t, 1, result.Added)
	require.Equal(t, 4, result.Present)
	all := links(client.LinkFilter{Part: client.Part{Limit: 2}})
	require.ElementsMatch(
		t, []string{"-P1 PAT-4711 ", "P-2 =cmd|x ", "P-3 PAT-4711 Elsewhere", "AQKW9615Q9411M PAT-0815 ", "P-5 5 "},
		all,
	)
	require.Equal(t, all, links(client.LinkFilter{}))
	require.ElementsMatch(
		t, []string{"-P1 PAT-4711 ", "P-3 PAT-4711 Elsewhere"}, links(client.LinkFilter{PatientID: "PAT-4711"}),
	)
	require.Equal(t, []string{"P-2 =cmd|x "}, links(client.LinkFilter{Pseudonym: "P-2"}))
	require.Equal(t, 422, s.send("POST", "/api/v1/projects/lung/linkage:search", `{"cursor":"nonsense"}`).StatusCode)

	// Faulty rows are all named, by number and column and without their values, and nothing is made.
	_, err = s.client.Projects.ImportLinkage(
		ctx, "lung", []byte("Pseudonym,PatientID\nP-9,9\nP-2,SECRET-1\nX^Y,SECRET-2\nP-8,5\n,SECRET-3\n"), "", false,
	)
	require.Equal(t, 422, status(err))
	for _, part := range []string{
		"4 rows are invalid", "row 3, Pseudonym", "row 4, Pseudonym", "row 5, PatientID", "row 6, Pseudonym",
	} {
		require.ErrorContains(t, err, part)
	}
	require.NotContains(t, err.Error(), "SECRET")
	require.Equal(t, all, links(client.LinkFilter{}))
	_, err = s.client.Projects.ImportLinkage(ctx, "lung", []byte("A,B\n"), "", false)
	require.Equal(t, 422, status(err))

	// What is exported is safe to open in a spreadsheet, and can be imported as it is.
	var out bytes.Buffer
	require.NoError(t, s.client.Projects.ExportLinkage(ctx, "lung", &out))
	rows, err := csv.NewReader(bytes.NewReader(out.Bytes())).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 6)
	for _, row := range rows {
		for _, cell := range row {
			require.False(t, cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r"), cell)
		}
	}
	_, err = s.client.Projects.Add(ctx, client.NewProject{Name: "copy"})
	require.NoError(t, err)
	result, err = s.client.Projects.ImportLinkage(ctx, "copy", out.Bytes(), "", false)
	require.NoError(t, err)
	require.Equal(t, 5, result.Added)
	var second bytes.Buffer
	require.NoError(t, s.client.Projects.ExportLinkage(ctx, "copy", &second))
	pairs := func(text string) (list []string) {
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		require.NoError(t, err)
		for _, row := range rows[1:] {
			list = append(list, strings.Join(row[:5], "|"))
		}
		return list
	}
	require.Equal(t, pairs(out.String()), pairs(second.String()))

	// It takes a right of its own, and that one belongs to the project.
	other := s.otherUser()
	call := func() (list, export, imp int) {
		for _, err := range other.Projects.Linkage(ctx, "lung", client.LinkFilter{}) {
			list = status(err)
		}
		_, err := other.Projects.ImportLinkage(ctx, "lung", []byte(table), "", true)
		return list, status(other.Projects.ExportLinkage(ctx, "lung", &bytes.Buffer{})), status(err)
	}
	requireAll := func(want int) {
		t.Helper()
		list, export, imp := call()
		require.Equal(t, [3]int{want, want, want}, [3]int{list, export, imp})
	}
	requireAll(403) // whether there is such a project or not
	_, err = s.client.Projects.Change(ctx, "lung", client.ProjectChange{Members: &[]string{"other"}})
	require.NoError(t, err)
	requireAll(403)
	_, err = s.pool.Exec(ctx, `WITH g AS (INSERT INTO groups (name) VALUES ('Trust') RETURNING id), m AS (
		INSERT INTO group_members (group_id, user_id) SELECT g.id, u.id FROM g, users u WHERE u.username = 'other')
		INSERT INTO group_permissions (group_id, permission) SELECT id, 'linkage' FROM g`)
	require.NoError(t, err)
	requireAll(0)
	_, err = s.client.Projects.Change(ctx, "lung", client.ProjectChange{Members: &[]string{}})
	require.NoError(t, err)
	requireAll(404)

	// None of these can be part of a port, a time or an ID.
	for _, value := range []string{"PAT-4711", "PAT-0815", "SECRET", "cmd|x", "5f8a1c5f8a1c5f8a1c5f8a1c5f8a1c5f"} {
		require.NotContains(t, s.log.String(), value, "in the log")
	}
}

// TestPseudonymizedJob: what a job says of its de-identification, and what its parts are refused for.
func TestPseudonymizedJob(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	s.addServer("PACS 1", "PACS1", func(c *client.ServerSettings) { c.IssuerOfPatientID = "Here" })
	s.addServer("PACS 2", "PACS2", nil)
	n, err := s.client.Nodes.Get(ctx, "PACS 1")
	require.NoError(t, err)
	require.Equal(t, "Here", n.Server.IssuerOfPatientID)
	changed, err := s.client.Servers.Change(ctx, "PACS 1", client.ServerChange{IssuerOfPatientID: new("There")})
	require.NoError(t, err)
	require.Equal(t, "There", changed.IssuerOfPatientID)
	_, err = s.client.Servers.Change(ctx, "PACS 1", client.ServerChange{IssuerOfPatientID: new(`a\b`)})
	require.Equal(t, 422, status(err))

	_, err = s.client.Projects.Add(ctx, client.NewProject{Name: "lung", Profile: "ps3.15-basic"})
	require.NoError(t, err)
	nj := transfer("1.2.3")
	nj.Project, nj.Pseudonymize = "Lung", true
	job, err := s.client.Jobs.Create(ctx, nj, "key")
	require.NoError(t, err)
	require.Equal(t, "lung", job.Project)
	require.True(t, job.Pseudonymize)
	require.Equal(t, "ps3.15-basic", job.Deidentified.Profile)
	require.Equal(t, 1, job.Deidentified.UIDGeneration)
	again, err := s.client.Jobs.Create(ctx, nj, "key")
	require.NoError(t, err)
	require.Equal(t, job.ID, again.ID)
	nj.Project = ""
	_, err = s.client.Jobs.Create(ctx, nj, "key")
	require.Equal(t, 422, status(err), "another project is another job")
	nj.Project = "none"
	_, err = s.client.Jobs.Create(ctx, nj, "")
	require.Equal(t, 422, status(err))
	require.ErrorContains(t, err, "you are not a member of a project of this name")

	plain, err := s.client.Jobs.Create(ctx, transfer("1.2.3"), "")
	require.NoError(t, err)
	require.Equal(t, "Default", plain.Project)
	require.Nil(t, plain.Deidentified)

	// What is rejected is left out under a pseudonym, unless the job says otherwise.
	pseudonymized := transfer("1.2.3")
	pseudonymized.Studies[0].Pseudonym = "SUBJECT-7"
	for _, tt := range []struct {
		job  client.NewJob
		set  *bool
		want bool
	}{
		{transfer("1.2.3"), nil, false},
		{transfer("1.2.3"), new(true), true},
		{pseudonymized, nil, true},
		{pseudonymized, new(false), false},
	} {
		tt.job.LeaveOutRejected = tt.set
		made, err := s.client.Jobs.Create(ctx, tt.job, "")
		require.NoError(t, err)
		require.Equal(t, tt.want, made.LeaveOutRejected)
		read, err := s.client.Jobs.Get(ctx, made.ID)
		require.NoError(t, err)
		require.Equal(t, tt.want, read.LeaveOutRejected)
	}
	same := transfer("1.2.3")
	_, err = s.client.Jobs.Create(ctx, same, "rejected")
	require.NoError(t, err)
	same.LeaveOutRejected = new(true)
	_, err = s.client.Jobs.Create(ctx, same, "rejected")
	require.Equal(t, 422, status(err), "what is left out makes another job")

	// Nothing was done yet.
	for task, err := range s.client.Tasks.List(ctx, job.ID, client.TaskFilter{}) {
		require.NoError(t, err)
		_, err = s.client.Tasks.Deidentification(ctx, task.ID)
		require.Equal(t, 404, status(err))
	}
	var out bytes.Buffer
	require.NoError(t, s.client.Jobs.Deidentification(ctx, job.ID, &out))
	require.Equal(t, 1, strings.Count(out.String(), "\n"), "the header alone")
	require.Equal(t, 404, status(s.otherUser().Jobs.Deidentification(ctx, job.ID, &out)))
}

// TestStaffJoinsNoProject: staff that may read linkage tables doesn't come to one by putting itself into the project.
func TestStaffJoinsNoProject(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	_, err := s.client.Groups.Add(ctx, client.NewGroup{Name: "Staff", Permissions: []string{"linkage"}})
	require.NoError(t, err)
	for _, name := range []string{"staff", "colleague"} {
		s.addUser(client.NewUser{Username: name, IsStaff: true, Groups: []string{"Staff"}})
	}
	_, err = s.client.Projects.Add(ctx, client.NewProject{Name: "lung"})
	require.NoError(t, err)
	as := func(name string) *client.Client {
		c, err := s.client.LogIn(ctx, client.Login{Username: name, Password: password})
		require.NoError(t, err)
		return c
	}
	change := func(c *client.Client, members ...string) error {
		_, err := c.Projects.Change(ctx, "lung", client.ProjectChange{Members: &members})
		return err
	}
	staff := as("staff")
	for _, name := range []string{"staff", "STAFF", " staff "} {
		require.Equal(t, 403, status(change(staff, "colleague", name)), name)
	}
	for _, err := range staff.Projects.Linkage(ctx, "lung", client.LinkFilter{}) {
		require.Equal(t, 403, status(err))
	}
	require.Equal(
		t, 403, status(change(as("colleague"), "staff")), "a colleague reads no more of it: staff can make itself one",
	)
	require.NoError(t, change(s.client, "admin", "staff"), "a superuser")
	require.NoError(
		t, change(staff, "staff", "colleague", "admin"), "who belongs to it stays, and takes in whom it likes",
	)
}

// TestStaffAndMembersOfProjects: staff names itself a member of no project that it doesn't belong to, by whatever way,
// and takes no staff out of one.
func TestStaffAndMembersOfProjects(t *testing.T) {
	m := newMatrix(t)
	m.exec(`DELETE FROM group_permissions WHERE permission = 'linkage'`) // which has a guard of its own
	staff, superuser := m.people["staff3"], m.people["superuser3"]
	const foreign = "group of stranger"
	ask := func(t *testing.T, who person, route, body string) reply {
		t.Helper()
		m.t = t
		_, path, _ := strings.Cut(route, " ")
		return m.ask(row{route: route}, who, path, body)
	}
	for name, members := range map[string]string{
		"its name": `"staff3"`, "in capitals": `"STAFF3"`,
		"with blanks": `" staff3 "`, "among others": `"user0","staff3"`,
	} {
		t.Run(name, func(t *testing.T) {
			got := ask(t, staff, "POST /api/v1/projects", `{"name":"p","group":"`+foreign+`","members":[`+members+`]}`)
			require.Equal(t, 403, got.StatusCode, got.body)
			require.Contains(t, got.problem(t).Detail, "put themselves into a project")
			project := newProject(m, m.people["stranger"])[0]
			got = ask(t, staff, "PATCH /api/v1/projects/"+project, `{"members":[`+members+`]}`)
			require.Equal(t, 403, got.StatusCode, got.body)
			require.Zero(t, m.one(`SELECT count(*) FROM project_members`))
		})
	}
	for name, c := range map[string]struct {
		who           person
		route, body   string
		want, granted int
	}{
		"its own group, where it belongs":  {staff, "POST /api/v1/projects", `{"name":"a","members":["staff3"]}`, 201, 1},
		"others in a foreign group":        {staff, "POST /api/v1/projects", `{"name":"b","group":"` + foreign + `","members":["user0"]}`, 201, 1},
		"nobody":                           {staff, "POST /api/v1/projects", `{"name":"c","group":"` + foreign + `"}`, 201, 0},
		"a superuser puts themselves in":   {superuser, "POST /api/v1/projects", `{"name":"d","group":"` + foreign + `","members":["superuser3"]}`, 201, 1},
		"a superuser later":                {superuser, "PATCH /api/v1/projects/theirs", `{"members":["superuser3","staff0","staff3","user1"]}`, 200, 1},
		"staff takes a superuser out":      {staff, "PATCH /api/v1/projects/theirs", `{"members":["staff0","staff3"]}`, 403, 0},
		"staff takes staff out":            {staff, "PATCH /api/v1/projects/theirs", `{"members":["superuser3","staff3"]}`, 403, 0},
		"staff takes itself and users out": {staff, "PATCH /api/v1/projects/theirs", `{"members":["superuser3","staff0"]}`, 200, 0},
		"staff stays":                      {staff, "PATCH /api/v1/projects/theirs", `{"members":["superuser3","staff0","staff3"]}`, 200, 0},
		"a superuser takes all out":        {superuser, "PATCH /api/v1/projects/theirs", `{"members":[]}`, 200, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m.t = t
			m.exec(`DELETE FROM projects WHERE name = 'theirs'`)
			m.exec(`INSERT INTO projects (name, group_id, sealed_key) SELECT 'theirs', g.id, p.sealed_key FROM groups g, projects p WHERE g.name = $1 LIMIT 1`, foreign)
			m.exec(`INSERT INTO project_members (project_id, user_id) SELECT p.id, u.id FROM projects p, users u
				WHERE p.name = 'theirs' AND u.username IN ('superuser3', 'staff0', 'staff3', 'user0') AND ($1 OR u.username <> 'superuser3')`, name != "a superuser later")
			before := m.one(`SELECT count(*) FROM audit WHERE action = 'rights.grant'`)
			got := ask(t, c.who, c.route, c.body)
			require.Equal(t, c.want, got.StatusCode, got.body)
			require.EqualValues(t, c.granted, m.one(`SELECT count(*) FROM audit WHERE action = 'rights.grant'`)-before)
		})
	}
	m.t = t
}
