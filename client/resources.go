// SPDX-License-Identifier: AGPL-3.0-or-later

package client

// Client speaks to one server. What it may be asked for is sorted by what it is about.
type Client struct {
	*caller // what speaks; shared with the resources

	Account       Account
	Audit         Audit
	Batch         Batch
	Cluster       Cluster
	Folders       Folders
	Groups        Groups
	Jobs          Jobs
	Live          Live
	Mails         Mails
	Mass          Mass
	Nodes         Nodes
	Profiles      Profiles
	Projects      Projects
	Quarantine    Quarantine
	Recurrences   Recurrences
	Registrations Registrations
	Servers       Servers
	Site          Site
	Tasks         Tasks
	Tokens        Tokens
	Users         Users
	Workers       Workers
}

func newClient(c *caller) *Client {
	return &Client{
		caller:        c,
		Account:       Account{c},
		Audit:         Audit{c},
		Batch:         Batch{c},
		Cluster:       Cluster{c},
		Folders:       Folders{c},
		Groups:        Groups{c},
		Jobs:          Jobs{c},
		Live:          Live{c},
		Mails:         Mails{c},
		Mass:          Mass{c},
		Nodes:         Nodes{c},
		Profiles:      Profiles{c},
		Projects:      Projects{c},
		Quarantine:    Quarantine{c},
		Recurrences:   Recurrences{c},
		Registrations: Registrations{c},
		Servers:       Servers{c},
		Site:          Site{c},
		Tasks:         Tasks{c},
		Tokens:        Tokens{c},
		Users:         Users{c},
		Workers:       Workers{c},
	}
}

// Account is the account of who is calling.
type Account struct{ *caller }

// Audit is the audit log: who did what.
type Audit struct{ *caller }

// Batch makes jobs of files of rows: batch queries and batch transfers.
type Batch struct{ *caller }

// Cluster is all members, the processes of ADIT that share one database.
type Cluster struct{ *caller }

// Folders are the DICOM nodes that are folders, as far as they differ from servers; see Nodes.
type Folders struct{ *caller }

// Groups are groups of users, with their members and the DICOM nodes that they may use.
type Groups struct{ *caller }

// Jobs are transfers, each of one or several tasks.
type Jobs struct{ *caller }

// Live are events as they happen, and searches with results as they come.
type Live struct{ *caller }

// Mails are mails to users, and what became of them.
type Mails struct{ *caller }

// Mass makes mass transfers: what a server has of some days, by filters.
type Mass struct{ *caller }

// Nodes are DICOM nodes, servers and folders alike.
type Nodes struct{ *caller }

// Profiles are de-identification profiles.
type Profiles struct{ *caller }

// Projects say by whose key and profile is pseudonymized, and keep who is behind the pseudonyms.
type Projects struct{ *caller }

// Quarantine holds instances that servers sent without having been asked.
type Quarantine struct{ *caller }

// Recurrences are mass transfers and batch queries that run again and again.
type Recurrences struct{ *caller }

// Registrations are of people who ask for an account.
type Registrations struct{ *caller }

// Servers are the DICOM nodes that are servers, as far as they differ from folders; see Nodes.
type Servers struct{ *caller }

// Site is what concerns the whole site: its settings, its announcement, its figures.
type Site struct{ *caller }

// Tasks are the parts of jobs.
type Tasks struct{ *caller }

// Tokens are API tokens.
type Tokens struct{ *caller }

// Users are those who have an account.
type Users struct{ *caller }

// Workers say how many tasks a member runs at once.
type Workers struct{ *caller }
