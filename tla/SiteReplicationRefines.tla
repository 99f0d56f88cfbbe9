----------------------- MODULE SiteReplicationRefines -----------------------
(* SiteReplication does nothing that SiteHistory does not. For TLC only. *)
EXTENDS SiteReplication

Abstract == INSTANCE SiteHistory WITH shown <- data

Refines == Abstract!Spec
=============================================================================
