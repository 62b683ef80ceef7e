// SPDX-License-Identifier: AGPL-3.0-or-later

import { Help } from '../../components/Help';
import c from './Selective.module.css';

const keys: [string, string][] = [
  ['Enter', 'searches; in the list it shows the series of a study'],
  ['Esc', 'stops the search; in the list it clears the selection'],
  ['↑ ↓ Home End', 'move through the list, as Page Up and Page Down do'],
  ['→ ←', 'show the series of a study, and hide them'],
  ['Space', 'picks a study or series'],
  ['Shift + ↑ ↓', 'picks all on the way'],
  ['Ctrl + A', 'picks all studies that are shown'],
  ['Ctrl + C', 'copies the UID of a study or series'],
  ['Ctrl + Enter', 'starts the transfer'],
];

/** SelectiveHelp is what there is to say about the page. */
export function SelectiveHelp() {
  return (
    <Help title="Selective Transfer">
      <p>
        Search a server for studies, and pick whole studies or single series of them. ADIT sends what you
        picked to another server or to a folder, and tells you when all of it has arrived.
      </p>
      <h3 className={c.helpTitle}>Search</h3>
      <p>
        Fill in at least one field; a study has to match all that you fill in. Patient ID and accession number
        have to be complete. In the name, * stands for any letters and ? for one: “Phan*, A*”. Dates may be
        written as 1970-01-31 or 31.01.1970. At most 100 studies are shown. Nothing that you type is kept when
        you close or reload the page.
      </p>
      <h3 className={c.helpTitle}>Pseudonyms</h3>
      <p>
        <b>From the project, per patient:</b> the project gives each patient a pseudonym, and the same patient
        always gets the same one. <b>I type one:</b> if all that you picked is of one patient. <b>None:</b>{' '}
        names, IDs and dates stay as they are; that needs a right of its own.
      </p>
      <h3 className={c.helpTitle}>Download</h3>
      <p>
        Who has the right <i>Direct download</i> can take one study, or series of it, to their own computer as
        a zip: a DICOM file for each image, under a pseudonym that they type, or with the identity if they
        have the right to that. The browser shows how far it is. A download that breaks off leaves no zip:
        start it again. It is no job, and ADIT keeps nothing of it but a row in the audit log.
      </p>
      <h3 className={c.helpTitle}>Keys</h3>
      <dl className={c.keys}>
        {keys.map(([key, does]) => (
          <div key={key}>
            <dt>{key}</dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </Help>
  );
}
