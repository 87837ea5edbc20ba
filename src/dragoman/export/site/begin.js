// Begins the page of a static site: the model is in the browser.

import * as model from "./local.js";
import {begin} from "./main.js";

begin(model);
