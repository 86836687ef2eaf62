"""Tests of fluxmedic; a package, so that fakes and builders can be shared."""
