// SPDX-License-Identifier: AGPL-3.0-or-later

package settings

const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
	year   = 365 * day
)

// Sentences that several settings have.
const (
	aeTitle  = "an AE title has 1 to 16 ASCII characters, none of them a backslash"
	atOnce   = "must be between 0 and 1000 associations"
	perTask  = "must be between 0 and 100 associations"
	services = "find, get, move (study root), store; patient-find, patient-get, patient-move (patient root); " +
		"qido, wado, stow (DICOMweb)."
	dimse   = "with find, get, move or store" // Setting.When of what only DIMSE needs
	httpURL = "give an address that begins with http:// or https://, without user, query (?) or fragment (#), " +
		"at most 2000 characters"
	prefix = "give a path such as qido or v1/wado, at most 200 characters, without // or .."
	words  = "use printable ASCII characters"
)

// Groups are all settings of a server, in the order in which they are shown.
var Groups = []Group{
	{
		Title: "Where it is",
		Settings: []Setting{
			{
				Name: "name", Field: "Name", Kind: Text, Required: true, Fixed: true,
				Doc:     "1 to 64 characters, unique over servers and folders.",
				Example: "PACS",
			},
			{
				Name: "ae_title", Field: "AETitle", Column: "ae_title", Kind: Text, Required: true,
				Tidy: "trimBlanks", Valid: "fault.ValidAE", Reason: aeTitle,
				Doc:     "The server's AE title, 1 to 16 characters, unique.",
				Example: "PACS",
				Flag:    Flag{Name: "ae-title", Placeholder: "AET", Help: "Its AE title."},
			},
			{
				Name: "host", Field: "Host", Column: "host", Kind: Text, When: dimse, NoHidden: true,
				Valid: "fault.ValidHost", Reason: "give a host name or an IP address, without a scheme or port",
				Doc:     "Host name or IP address. A server that is reached by DICOMweb alone needs neither host nor port.",
				Example: "pacs.example.org",
				Flag: Flag{
					Name: "host", Help: "Its host name or IP address; not needed by DICOMweb.",
					SetHelp: "Its host name or IP address.",
				},
			},
			{
				Name: "port", Field: "Port", Column: "port", Kind: Number, When: dimse,
				Min: 1, Max: 65535, Reason: "a port is a number from 1 to 65535",
				Doc:     "TCP port, 1 to 65535.",
				Example: "104",
				Flag: Flag{
					Name: "port", Placeholder: "N", Help: "Its port; not needed by DICOMweb.", SetHelp: "Its port.",
				},
			},
			{
				Name: "calling_ae_title", Field: "CallingAETitle",
				Column: "calling_ae_title", Kind: Text, NoHidden: true,
				Tidy: "trimBlanks", Valid: "fault.ValidAE", Reason: aeTitle,
				Doc:     "The AE title that ADIT uses there, if not its own.",
				Example: "ADIT",
				Flag: Flag{
					Name: "calling-ae-title", Placeholder: "AET",
					Help:    "The AE title that ADIT uses there, if not its own.",
					SetHelp: "The AE title that ADIT uses there; empty: its own.",
				},
			},
		},
	},
	{
		Title: "What it offers", Name: "supports", Field: "Supports", Required: true,
		Is: "are the services that a server offers. It is used as a source if it can be searched and read, " +
			"as a destination if it stores.",
		Doc: "The services that the server offers.",
		Words: Flag{
			Name: "supports", Placeholder: "SERVICE",
			Help: "What it offers: " + services, SetHelp: "All that it offers: " + services,
		},
		Settings: []Setting{
			{
				Name: "study_root_find", Field: "StudyRootFind", Column: "study_root_find", Kind: Switch, Flag: Flag{Name: "find"},
				Doc: "It can be searched in the Study Root model (C-FIND SCP).",
			},
			{
				Name: "study_root_get", Field: "StudyRootGet", Column: "study_root_get", Kind: Switch, Flag: Flag{Name: "get"},
				Doc: "It sends over the association that asks, in the Study Root model (C-GET SCP).",
			},
			{
				Name: "study_root_move", Field: "StudyRootMove", Column: "study_root_move", Kind: Switch, Flag: Flag{Name: "move"},
				Doc: "It sends to the receiver when it is asked, in the Study Root model (C-MOVE SCP).",
			},
			{
				Name: "store", Field: "Store", Column: "store_scp", Kind: Switch, Flag: Flag{Name: "store"},
				Doc: "It accepts instances (C-STORE SCP).",
			},
			{
				Name: "patient_root_find", Field: "PatientRootFind", Column: "patient_root_find", Kind: Switch,
				Flag: Flag{Name: "patient-find"},
				Doc:  "It can be searched in the Patient Root model (C-FIND SCP).",
			},
			{
				Name: "patient_root_get", Field: "PatientRootGet", Column: "patient_root_get", Kind: Switch,
				Flag: Flag{Name: "patient-get"},
				Doc:  "It sends over the association that asks, in the Patient Root model (C-GET SCP).",
			},
			{
				Name: "patient_root_move", Field: "PatientRootMove", Column: "patient_root_move", Kind: Switch,
				Flag: Flag{Name: "patient-move"},
				Doc:  "It sends to the receiver when it is asked, in the Patient Root model (C-MOVE SCP).",
			},
			{
				Name: "qido", Field: "QIDO", Column: "qido_rs", Kind: Switch, Flag: Flag{Name: "qido"},
				Doc: "It can be searched by DICOMweb (QIDO-RS).",
			},
			{
				Name: "wado", Field: "WADO", Column: "wado_rs", Kind: Switch, Flag: Flag{Name: "wado"},
				Doc: "It sends by DICOMweb (WADO-RS).",
			},
			{
				Name: "stow", Field: "STOW", Column: "stow_rs", Kind: Switch, Flag: Flag{Name: "stow"},
				Doc: "It accepts instances by DICOMweb (STOW-RS). ADIT then stores so, even if it also supports C-STORE.",
			},
		},
	},
	{
		Title: "How it is used",
		Settings: []Setting{
			{
				Name: "result_limit", Field: "ResultLimit", Column: "result_limit", Kind: Number, Daily: true,
				Min: 1, Max: 100_000, Default: 200, Reason: "must be between 1 and 100000",
				Doc: "Most results of a search; 200 by default.",
				Flag: Flag{
					Name: "result-limit", Placeholder: "N",
					Help: "Most results of a search (200).", SetHelp: "Most results of a search.",
				},
			},
			{
				Name: "idle_timeout", Field: "IdleTimeout", Column: "idle_timeout_s", Kind: Time, Daily: true,
				Min: 1, Max: hour, Default: minute, Reason: "must be between one second and one hour",
				Doc: "Seconds without any progress after which an association is given up, 1 to 3600; 60 by default.",
				Flag: Flag{
					Name: "idle-timeout", Placeholder: "D",
					Help:    "Without any progress for so long, an association is given up (60s).",
					SetHelp: "Without any progress for so long, an association is given up.",
				},
			},
			{
				Name: "batch_cap", Field: "BatchCap", Column: "batch_cap", Kind: Number, Daily: true,
				Max: 1000, Default: 4, ZeroCounts: true, Reason: atOnce,
				Doc: "Most associations at once for jobs; 0 closes the server for jobs; 4 by default.",
				Flag: Flag{
					Name: "batch-cap", Placeholder: "N",
					Help:    "Most associations at once for jobs (4); 0 closes it for jobs.",
					SetHelp: "Most associations at once for jobs; 0 closes it for jobs.",
				},
			},
			{
				Name: "interactive_cap", Field: "InteractiveCap", Column: "interactive_cap", Kind: Number, Daily: true,
				Max: 1000, Default: 2, ZeroCounts: true, Reason: atOnce,
				Doc: "Most associations at once for searches and checks; 2 by default.",
				Flag: Flag{
					Name: "interactive-cap", Placeholder: "N",
					Help:    "Most associations at once for searches and checks (2).",
					SetHelp: "Most associations at once for searches and checks.",
				},
			},
			{
				Name: "associations_per_task", Field: "AssociationsPerTask", Column: "associations_per_task",
				Kind: Number, Daily: true,
				Min: 1, Max: 100, Default: 4, Reason: perTask,
				Doc: "Associations that one task may use to store, and to retrieve series side by side, when no " +
					"other task " +
					"waits; " +
					"4 by default.",
				Flag: Flag{
					Name: "associations-per-task", Placeholder: "N",
					Help:    "Associations that one task may use to store, and to retrieve series side by side (4).",
					SetHelp: "Associations that one task may use to store.",
				},
			},
			{
				Name: "find_images", Field: "FindImages", Column: "find_images",
				Kind: Switch, Daily: true, Default: true, ZeroCounts: true,
				Doc: "It can be searched for single instances (C-FIND at IMAGE level, QIDO-RS for instances); true by " +
					"default. If not, its counts prove that a transfer is complete.",
				Flag: Flag{
					Name: "find-images", Help: "Ask it for single images (C-FIND, QIDO-RS).", SetOnly: true,
				},
			},
			{
				Name: "issuer_of_patient_id", Field: "IssuerOfPatientID", Column: "issuer_of_patient_id", Kind: Text,
				Tidy: "strings.TrimSpace", Valid: "fault.ValidText",
				Reason: "at most 64 characters, without a backslash or control characters",
				Doc: "The authority that assigns its Patient IDs. For pseudonyms, the same ID of two issuers is " +
					"two patients; servers that share patients must have the same issuer, or none.",
				Example: "HOSPITAL",
				Flag: Flag{
					Name: "issuer", Placeholder: "NAME",
					Help: "Who gives out its Patient IDs. For pseudonyms the same ID of two issuers is two " +
						"patients.",
					SetHelp: "Who gives out its Patient IDs; empty: nobody in particular.",
				},
			},
			{
				Name: "patients_anew", Field: "PatientsAnew", Kind: Switch, Act: true,
				Doc: "Confirms a change of the issuer although patients of the server have pseudonyms: from now on " +
					"they get other pseudonyms.",
				Flag: Flag{
					Name: "patients-anew", SetOnly: true,
					Help: "Another issuer is meant although patients of the server have pseudonyms: from now on they " +
						"get others.",
				},
			},
		},
	},
	{
		Title: "DICOMweb", Name: "dicomweb", Field: "DICOMweb", Shown: Each,
		Is: "says where a server has its DICOMweb services (PS3.18), and how ADIT shows them who it is. What is " +
			"secret goes to the origin of RootURL, or of TokenURL, and to no other.",
		Doc: "Where its DICOMweb services (PS3.18) are, and how ADIT shows them who it is.",
		Settings: []Setting{
			{
				Name: "root_url", Field: "RootURL", Column: "web_root_url", Kind: Text, When: "with qido, wado or stow",
				Tidy: "trimURL", Valid: "validURL", Max: 2000, NoHidden: true, Reason: httpURL,
				Doc: "The URL that all its services have in common, without /studies. With another scheme, host or " +
					"port, the secret has to be given again.",
				Example: "https://pacs.example.org/dicom-web",
				Flag: Flag{
					Name: "root-url", Placeholder: "URL",
					Help: "Root of its DICOMweb services, without /studies, as https://pacs.example.org/dicom-web.",
				},
			},
			{
				Name: "qido_prefix", Field: "QIDOPrefix", Column: "web_qido_prefix", Kind: Text,
				Tidy: "trimSlashes", Valid: "validPrefix", Max: 200, Reason: prefix,
				Doc:     "Path of QIDO-RS below the root, if it has one of its own.",
				Example: "qido",
				Flag:    Flag{Name: "qido-prefix", Placeholder: "PATH", Help: "Path of QIDO-RS below the root (none)."},
			},
			{
				Name: "wado_prefix", Field: "WADOPrefix", Column: "web_wado_prefix", Kind: Text,
				Tidy: "trimSlashes", Valid: "validPrefix", Max: 200, Reason: prefix,
				Doc:     "Path of WADO-RS below the root, if it has one of its own.",
				Example: "wado",
				Flag:    Flag{Name: "wado-prefix", Placeholder: "PATH", Help: "Path of WADO-RS below the root (none)."},
			},
			{
				Name: "stow_prefix", Field: "STOWPrefix", Column: "web_stow_prefix", Kind: Text,
				Tidy: "trimSlashes", Valid: "validPrefix", Max: 200, Reason: prefix,
				Doc:     "Path of STOW-RS below the root, if it has one of its own.",
				Example: "stow",
				Flag:    Flag{Name: "stow-prefix", Placeholder: "PATH", Help: "Path of STOW-RS below the root (none)."},
			},
			{
				Name: "auth", Field: "Auth", Column: "web_auth", Kind: Choice,
				Choices: []string{"none", "basic", "header", "oauth2"}, Default: "none",
				Reason: "must be none, basic, header or oauth2",
				Doc: "How ADIT shows who it is: none (default, or by the certificate of tls); basic: user and " +
					"password; header: a fixed header, as with a token; oauth2: a token that it gets by client " +
					"credentials. Another way needs its secret.",
				Flag: Flag{
					Name: "web-auth", Placeholder: "HOW",
					Help: "How ADIT shows who it is: none (default), basic, header (as with a token), or oauth2 (client " +
						"credentials).",
				},
			},
			{
				Name: "user", Field: "User", Column: "web_user", Kind: Text, When: "with basic",
				Valid: "validUser", Max: 200, NoHidden: true, Reason: "at most 200 characters, without a colon",
				Doc: "User name, for basic.", Example: "adit",
				Flag: Flag{Name: "web-user", Placeholder: "NAME", Help: "User name, for basic."},
			},
			{
				Name: "secret", Field: "Secret", Column: "web_sealed_secret", Kind: File, Secret: true,
				When:  "with basic, header or oauth2",
				Valid: "validSecret", Max: 8192, Reason: "one line of at most 8192 characters",
				Doc: "The password for basic, the value of the header, or the client's secret for oauth2. It is kept " +
					"encrypted and never shown again.",
				Example: "Bearer eyJ0…",
				Flag: Flag{
					Name: "web-secret-file", Placeholder: "FILE",
					Help: "File with the password for basic, the header's value, or the client's secret for oauth2. It " +
						"is kept encrypted and never shown again.",
				},
			},
			{
				Name: "header_name", Field: "HeaderName", Column: "web_header_name", Kind: Text,
				Valid: "validHeader", Max: 100,
				Reason:  "give the name of a header that says who ADIT is, such as Authorization or X-API-Key",
				Doc:     "Name of the header, for header; Authorization by default.",
				Example: "X-API-Key",
				Flag:    Flag{Name: "web-header", Placeholder: "NAME", Help: "Name of the header (Authorization)."},
			},
			{
				Name: "token_url", Field: "TokenURL", Column: "web_token_url", Kind: Text, When: "with oauth2",
				Tidy: "trimBlanks", Valid: "validURL", Max: 2000, NoHidden: true, Reason: httpURL,
				Doc: "Where ADIT gets tokens, for oauth2 (RFC 6749 3.2). With another scheme, host or port, the " +
					"secret has to be given again. The certificate there has to be of an authority of tls, or of " +
					"one that the system trusts.",
				Example: "https://login.example.org/realms/pacs/protocol/openid-connect/token",
				Flag:    Flag{Name: "web-token-url", Placeholder: "URL", Help: "Where tokens come from, for oauth2."},
			},
			{
				Name: "client_id", Field: "ClientID", Column: "web_client_id", Kind: Text, When: "with oauth2",
				Valid: "printable", Max: 500, Reason: words,
				Doc: "ADIT's client ID, for oauth2.", Example: "adit",
				Flag: Flag{Name: "web-client-id", Placeholder: "ID", Help: "ADIT's client ID, for oauth2."},
			},
			{
				Name: "client_auth", Field: "ClientAuth", Column: "web_client_auth", Kind: Choice,
				Choices: []string{"basic", "post"}, Default: "basic", Reason: "must be basic or post",
				Doc: "How the client's secret is sent, for oauth2: basic (default; in a header), or post (in the " +
					"request), as RFC 6749 2.3.1 has them.",
				Flag: Flag{
					Name: "web-client-auth", Placeholder: "HOW",
					Help: "How the client's secret is sent: basic (in a header, default), or post (in the request).",
				},
			},
			{
				Name: "scope", Field: "Scope", Column: "web_scope", Kind: Text,
				Valid: "printable", Max: 2000, Reason: words,
				Doc:     "The scope that is asked for, for oauth2; several with blanks between them.",
				Example: "https://dicom.healthcareapis.azure.com/.default",
				Flag:    Flag{Name: "web-scope", Placeholder: "SCOPE", Help: "The scope that is asked for, for oauth2 (none)."},
			},
			{
				Name: "audience", Field: "Audience", Column: "web_audience", Kind: Text,
				Valid: "printable", Max: 2000, Reason: words,
				Doc:     "The audience that is asked for, for oauth2, where the server for tokens wants one.",
				Example: "https://pacs.example.org",
				Flag: Flag{
					Name: "web-audience", Placeholder: "TEXT", Help: "The audience that is asked for, for oauth2 (none).",
				},
			},
			{
				Name: "resource", Field: "Resource", Column: "web_resource", Kind: Text,
				Valid: "printable", Max: 2000, Reason: words,
				Doc:     "The resource that is asked for, for oauth2 (RFC 8707), where the server for tokens wants one.",
				Example: "https://pacs.example.org",
				Flag: Flag{
					Name: "web-resource", Placeholder: "URI", Help: "The resource that is asked for, for oauth2 (none).",
				},
			},
			{
				Name: "max_request", Field: "MaxRequest", Column: "web_max_request_mb", Kind: Number, Daily: true,
				Min: 1, Max: 4096, Default: 64, Reason: "must be between 1 and 4096 MB",
				Doc: "As a destination: the most MB (10⁶ bytes) of instances in one request; 64 by default. A larger " +
					"instance goes alone.",
				Flag: Flag{
					Name: "web-max-request", Placeholder: "MB",
					Help: "As a destination, the most MB of instances in one request (64).",
				},
			},
			{
				Name: "answer_patience", Field: "AnswerPatience", Column: "web_answer_patience_s", Kind: Time, Daily: true,
				Min: 1, Max: day, Default: 10 * minute, Reason: "must be between one second and one day",
				Doc: "As a destination: seconds that ADIT waits for the answer to a request once it is sent; 600 by " +
					"default.",
				Flag: Flag{
					Name: "web-answer-patience", Placeholder: "D",
					Help: "As a destination, how long it may take to answer once a request is sent (10m).",
				},
			},
		},
	},
	{
		Title: "TLS", Name: "tls", Field: "TLS", Shown: Together,
		Is: "says how associations with a server are secured (PS3.15 annex B). Authorities, certificate, key and " +
			"Verify hold for its DICOMweb services, too, at a URL with https. Certificates and keys are in PEM.",
		Doc: "How associations are secured, and whom ADIT trusts. DICOMweb is secured if its URL begins with https://: " +
			"verify, authorities, certificate and key hold for it, too; use, profile and server_name do not.",
		Settings: []Setting{
			{
				Name: "use", Field: "Use", Column: "tls", Kind: Switch,
				Doc:  "Use TLS for associations.",
				Flag: Flag{Name: "tls", Help: "Use TLS for associations there."},
			},
			{
				Name: "profile", Field: "Profile", Column: "tls_profile", Kind: Choice,
				Choices: []string{"bcp195-rfc9325", "bcp195"}, Default: "bcp195-rfc9325",
				Reason: "must be bcp195-rfc9325 or bcp195",
				Doc: "Of associations: bcp195-rfc9325 (default; PS3.15 B.12), or bcp195 for older devices " +
					"(PS3.15 B.9). DICOMweb has the former.",
				Flag: Flag{
					Name: "tls-profile", Placeholder: "PROFILE",
					Help: "bcp195-rfc9325 (default), or bcp195 for older devices.",
				},
			},
			{
				Name: "verify", Field: "Verify", Column: "tls_verify", Kind: Choice,
				Choices: []string{"name", "authority"}, Default: "name", Reason: "must be name or authority",
				Doc: "name (default): a trusted authority must have signed the server's certificate, and it must " +
					"name the server; authority: the name does not matter.",
				Flag: Flag{
					Name: "tls-verify", Placeholder: "HOW",
					Help: "name (default): its certificate must be of a trusted authority and name it; authority: " +
						"the name " +
						"doesn't matter.",
				},
			},
			{
				Name: "authorities", Field: "Authorities", Column: "tls_authorities", Kind: PEM,
				Doc: "Certificates of the authorities that sign the server's certificate, in PEM; by default those " +
					"that the system trusts.",
				Example: "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n",
				Flag: Flag{
					Name: "tls-ca", Placeholder: "FILE",
					Help: "PEM file with the certificates of the authorities that sign its certificate; " +
						"empty: those that the system trusts.",
				},
			},
			{
				Name: "certificate", Field: "Certificate", Column: "tls_certificate", Kind: PEM,
				Doc: "The certificate that ADIT shows to the server, in PEM, followed by intermediate " +
					"certificates.",
				Example: "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n",
				Flag: Flag{
					Name: "tls-cert", Placeholder: "FILE",
					Help: "PEM file with the certificate that ADIT shows there; empty: none.",
				},
			},
			{
				Name: "key", Field: "Key", Column: "tls_sealed_key", Kind: PEM, Secret: true,
				Doc:     "Its private key in PEM, without a password. It is kept encrypted and never shown again.",
				Example: "-----BEGIN PRIVATE KEY-----\nMIIE…\n-----END PRIVATE KEY-----\n",
				Flag: Flag{
					Name: "tls-key", Placeholder: "FILE",
					Help: "PEM file with its private key, without a password. It is kept encrypted and never " +
						"shown again.",
				},
			},
			{
				Name: "server_name", Field: "ServerName", Column: "tls_server_name", Kind: Text, NoHidden: true,
				Valid: "fault.ValidHost", Reason: "give a host name or an IP address",
				Doc:     "The name in the server's certificate, if it is not its host. For associations only.",
				Example: "pacs.example.org",
				Flag: Flag{
					Name: "tls-server-name", Placeholder: "NAME",
					Help: "Name in its certificate, if it isn't its host.",
				},
			},
		},
	},
	{
		Title: "Retrieving", Name: "retrieve", Field: "Retrieve", Shown: Each,
		Is: "is how a server is read from, and under which names and from where it stores to ADIT's receiver by " +
			"C-MOVE. " +
			"The zero value is fit for most.",
		Doc: "How ADIT reads from it, and how it stores to ADIT's receiver by C-MOVE.",
		Settings: []Setting{
			{
				Name: "methods", Field: "Methods", Column: "retrieve_methods", Kind: List, Daily: true,
				Choices: []string{"WADO-RS", "C-GET", "C-MOVE"}, Max: 3,
				Reason: "the methods are WADO-RS, C-GET and C-MOVE, each at most once",
				Doc: "The order in which ADIT tries the methods that the server supports; WADO-RS, then C-GET, then " +
					"C-MOVE by default.",
				Example: "C-MOVE,C-GET",
				Flag: Flag{
					Name: "retrieve", Placeholder: "METHODS", Parse: "parseMethods",
					Help: "Retrieve methods in the order in which they are tried, such as move,get; those left out are " +
						"not used (wado,get,move).",
				},
			},
			{
				Name: "move_destination", Field: "MoveDestination", Column: "move_destination", Kind: Text,
				Tidy: "trimBlanks", Valid: "fault.ValidAE", Reason: aeTitle,
				Doc:     "The AE title under which it knows ADIT's receiver, if not ADIT's own.",
				Example: "ADIT",
				Flag: Flag{
					Name: "move-destination", Placeholder: "AET",
					Help: "AE title under which it knows ADIT's receiver, if not ADIT's own.",
				},
			},
			{
				Name: "move_destination_plain", Field: "MoveDestinationPlain",
				Column: "move_destination_plain", Kind: Text,
				Tidy: "trimBlanks", Valid: "fault.ValidAE", Reason: aeTitle,
				Doc:     "The same for the receiver that accepts only uncompressed instances; ADIT_LE by default.",
				Example: "ADIT_LE",
				Flag: Flag{
					Name: "move-destination-plain", Placeholder: "AET",
					Help: "The same for what it has to send uncompressed, if not ADIT_LE.",
				},
			},
			{
				Name: "move_originator", Field: "MoveOriginator", Column: "move_originator", Kind: Switch, Daily: true,
				Doc: "It is known to send the Move Originator fields when it stores: ADIT may then run two C-MOVEs " +
					"of one study at a time.",
				Flag: Flag{
					Name: "move-originator", Help: "What it stores is known to carry the Move Originator fields.",
				},
			},
			{
				Name: "move_patience", Field: "MovePatience", Column: "move_patience_s", Kind: Time, Daily: true,
				Min: 1, Max: hour, Default: 10, Reason: "must be between one second and one hour",
				Doc: "Seconds to wait for instances that arrive after the end of their C-MOVE; 10 by default.",
				Flag: Flag{
					Name: "move-patience", Placeholder: "D",
					Help: "How long to wait for objects later than the end of their C-MOVE (10s).",
				},
			},
			{
				Name: "other_ae_titles", Field: "OtherAETitles", Column: "other_ae_titles", Kind: List,
				Tidy: "trimBlanks", Valid: "fault.ValidAE", Max: 16, Reason: aeTitle + "; at most 16 of them",
				Doc:     "Other AE titles under which it stores, besides its own.",
				Example: "PACS2",
				Flag: Flag{
					Name: "other-ae-titles", Placeholder: "AET,…",
					Help: "AE titles under which it stores to ADIT, besides its own.",
				},
			},
			{
				Name: "address_ranges", Field: "AddressRanges", Column: "address_ranges", Kind: List,
				Valid: "validRange", Max: 64, Reason: "give IP addresses or ranges such as 10.1.0.0/16, at most 64",
				Doc:     "Addresses from which it may call, besides those that its host resolves to, as in 10.1.0.0/16.",
				Example: "10.1.0.0/16",
				Flag: Flag{
					Name: "address-ranges", Placeholder: "RANGE,…",
					Help: "Addresses from which it may call ADIT, besides those of its host, as in 10.1.0.0/16 (none).",
				},
			},
			{
				Name: "add_address_ranges", Field: "AddAddressRanges", Kind: List, Max: 64, Act: true,
				Doc:     "Addresses or ranges that are added to address_ranges.",
				Example: "192.0.2.7",
				Flag: Flag{
					Name: "add-address", Placeholder: "RANGE,…",
					Help: "Further ones: they are added to --address-ranges.",
				},
			},
			{
				Name: "direct", Field: "Direct", Kind: Pairs,
				Doc: "The AE titles under which it knows destinations, by their names in ADIT. It sends unchanged " +
					"instances straight to them by C-MOVE. ADIT verifies by C-FIND what arrived, and fetches the " +
					"rest.",
				ChangeDoc: "Destinations that are not named stay as they are; an empty AE title takes one away.",
				Example:   `{"research":"RESEARCH"}`,
				Flag: Flag{
					Name: "direct", Placeholder: "NAME=AET,…",
					Help: "Destinations to which it sends by itself (C-MOVE) what is not to be changed, " +
						"and the AE titles under which it knows them; NAME= takes one away.",
				},
			},
		},
	},
	{
		Title: "Rules", Name: "rules", Field: "Rules", Shown: Each,
		Is:  "say what ADIT does and does not ask of a server, at all hours.",
		Doc: "What ADIT does and does not ask of it, at all hours.",
		Settings: []Setting{
			{
				Name: "max_pdu", Field: "MaxPDU", Column: "max_pdu", Kind: Number, Daily: true,
				Min: 16 << 10, Max: 1 << 20, Default: 1_048_564, Reason: "must be between 16384 and 1048576 bytes",
				Doc: "The largest PDU in bytes that ADIT announces to it, 16384 to 1048576; 1048564 by default.",
				Flag: Flag{
					Name: "max-pdu", Placeholder: "BYTES",
					Help: "Largest PDU that ADIT announces there, 16384 to 1048576 (1048564).",
				},
			},
			{
				Name: "min_study_age", Field: "MinStudyAge", Column: "min_study_age_s", Kind: Time, Daily: true,
				Max: year, Reason: "must be between 0 and a year",
				Doc: "As a source: ADIT reads a study only when this many seconds have passed since its date and " +
					"time.",
				Example: "3600",
				Flag: Flag{
					Name: "min-study-age", Placeholder: "D",
					Help: "As a source, its studies are not read before this age, counted from their date and " +
						"time (0).",
				},
			},
			{
				Name: "young_study", Field: "YoungStudy", Column: "young_study_s", Kind: Time, Daily: true,
				Max: year, Default: day, ZeroCounts: true, Reason: "must be between 0 and a year",
				Doc: "As a source: a study may still grow until this many seconds after its date and time. ADIT " +
					"then asks for its lists once more at the end, as it does for a study without a date. 86400 " +
					"by default; 0: only if something is missing or does not agree.",
				Flag: Flag{
					Name: "young-study", Placeholder: "D",
					Help: "As a source, up to which age its studies may still grow, " +
						"so that their lists are asked for once more at the end (24h).",
				},
			},
			{
				Name: "offline_patience", Field: "OfflinePatience",
				Column: "offline_patience_s", Kind: Time, Daily: true,
				Min: 1, Max: day, Default: 4 * hour, Reason: "must be between one second and a day",
				Doc: "As a source: seconds for which ADIT waits for a study that is offline or nearline, before " +
					"its task fails; 14400 by default.",
				Flag: Flag{
					Name: "offline-patience", Placeholder: "D",
					Help: "As a source, how long studies that are offline or nearline are waited for before a task " +
						"fails (4h).",
				},
			},
			{
				Name: "duplicates", Field: "Duplicates", Column: "duplicates", Kind: Choice, Daily: true,
				Choices: []string{"send", "skip", "refuse"}, Default: "send", Reason: "must be send, skip or refuse",
				Doc: "As a destination: what happens to instances that it already has. ADIT sends them anyway " +
					"(send, by default), asks first and does not send them (skip), or lets the task fail before " +
					"anything is sent (refuse).",
				Flag: Flag{
					Name: "duplicates", Placeholder: "HOW",
					Help: "As a destination, images that it holds already are sent all the same (send, default), are " +
						"not sent " +
						"(skip), " +
						"or make the task fail before anything is sent (refuse).",
				},
			},
			{
				Name: "refused_sop_classes", Field: "RefusedSOPClasses",
				Column: "refused_sop_classes", Kind: List, Daily: true,
				Valid: "fault.ValidUID", Max: 100, Reason: "give SOP Class UIDs, at most 100",
				Doc:     "As a destination: SOP classes that it never accepts. ADIT leaves them out and notes it.",
				Example: "1.2.840.10008.5.1.4.1.1.88.67",
				Flag: Flag{
					Name: "refused-sop-classes", Placeholder: "UID,…",
					Help: "SOP classes that it never takes, as a destination: left out and noted (none).",
				},
			},
			{
				Name: "fallback_character_set", Field: "FallbackCharset",
				Column: "fallback_charset", Kind: Text, Daily: true,
				Valid: "validCharset", Max: 64,
				Reason: "give a term of Specific Character Set, such as ISO_IR 100, or ISO_IR 6 for none",
				Doc: "As a source: the character set in which ADIT reads text that is neither ASCII nor UTF-8, of " +
					"instances that declare no character set: a term of Specific Character Set, ISO_IR 100 by " +
					"default. ISO_IR 6: such instances are not de-identified, and not sent.",
				Example: "ISO_IR 100",
				Flag: Flag{
					Name: "fallback-charset", Placeholder: "TERM",
					Help: "As a source, what text is read in of objects that declare no character set and aren't " +
						"UTF-8: ISO_IR " +
						"100 (default), " +
						"ISO_IR 144, …; ISO_IR 6: nothing, they are not de-identified.",
				},
			},
			{
				Name: "ignore_counts", Field: "IgnoreCounts", Column: "ignore_counts", Kind: Switch, Daily: true,
				Doc: "As a source: its counts of instances are known to be wrong, and ADIT does not use them as " +
					"evidence. Tasks note it.",
				Flag: Flag{
					Name: "ignore-counts",
					Help: "As a source, its counts of instances are known to be wrong and are no evidence of what a " +
						"study holds (no).",
				},
			},
		},
	},
	{
		Title: "Verification", Name: "verify", Field: "Verify", Shown: Together,
		Is: "says how deliveries to a server are verified. A folder needs none: a file counts as delivered when it " +
			"is whole, synced and renamed.",
		Doc: "How ADIT asks a destination whether it has what it acknowledged.",
		Settings: []Setting{
			{
				Name: "method", Field: "Method", Kind: Choice, Daily: true,
				Choices: []string{"none", "presence", "commitment"}, Default: "none",
				Reason: "must be none, presence or commitment",
				Doc: "none (default); presence: it lists the instances by C-FIND or QIDO-RS; commitment: it reports " +
					"storage commitment for them, over an association.",
				Flag: Flag{
					Name: "verify", Placeholder: "HOW",
					Help: "As a destination, it is asked whether it has what it acknowledged: none (default), " +
						"presence (C-FIND, QIDO-RS) or " +
						"commitment (storage commitment).",
				},
			},
			{
				Name: "patience", Field: "Patience", Kind: Time, Daily: true,
				Min: 1, Max: day, Default: 10 * minute, Reason: "must be between one second and one day",
				Doc: "Seconds until instances that are not verified lead to a Warning; 600 by default. Nothing is " +
					"sent again by itself.",
				Flag: Flag{
					Name: "verify-patience", Placeholder: "D",
					Help: "How long what is not verified is asked for again, before it is a warning (10m).",
				},
			},
		},
	},
}
