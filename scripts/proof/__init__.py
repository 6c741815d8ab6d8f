"""Long runs that hold the promises against faults, and expressions against jq. Short ones are among the tests."""
