module Regatta.Spec.Table
let placeholder = ()
