/// How long a test waits for what must happen. It is far more than anything takes, and only ends tests that hang.
module Regatta.Toxiproxy.Tests.Deadline

open System
open System.Threading

let private patience = TimeSpan.FromSeconds 60.0

let token () = (new CancellationTokenSource(patience)).Token
