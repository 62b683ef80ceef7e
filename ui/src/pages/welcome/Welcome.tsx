// SPDX-License-Identifier: AGPL-3.0-or-later

import { useState } from 'react';

import { FirstPacs } from './FirstPacs';
import { FirstPassword } from './FirstPassword';
import { FirstSearch } from './FirstSearch';
import { WhoMayUseIt } from './WhoMayUseIt';

type At = 'password' | 'pacs' | 'another' | 'people' | 'search';

/** Welcome leads the administrator through the first run: by the code of a link before anybody can log in. */
export default function Welcome() {
  const [code] = useState(() => location.hash.slice(1));
  const [at, go] = useState<At>(code ? 'password' : 'pacs');
  const [added, add] = useState<string[]>([]); // names of DICOM nodes
  switch (at) {
    case 'password':
      return <FirstPassword code={code} onDone={() => go('pacs')} />;
    case 'pacs':
    case 'another':
      return (
        <FirstPacs
          key={at}
          another={at === 'another'}
          onBack={() => go('people')}
          onDone={(name) => {
            add([...added, name]);
            go('people');
          }}
        />
      );
    case 'people':
      return (
        <WhoMayUseIt
          added={added}
          onFolder={(name) => add([...added, name])}
          onAnother={() => go('another')}
          onDone={() => go('search')}
        />
      );
    case 'search':
      return <FirstSearch source={added[0]} />;
  }
}
