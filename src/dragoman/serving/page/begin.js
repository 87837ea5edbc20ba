// Begins the page of a server, which answers over HTTP. A static site has another file of this name.

import {begin} from "./main.js";
import * as server from "./server.js";

begin(server);
