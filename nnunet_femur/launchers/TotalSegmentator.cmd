@echo off
rem nnunet_femur launcher: passes volumes that TotalSegmentator cannot read to it as NIfTI, see docs/baseline.md.
rem "nnfemur env" puts this folder in front of PATH and sets NNFEMUR_PYTHON to the Python of its own installation.
if not exist "%NNFEMUR_PYTHON%" echo error: NNFEMUR_PYTHON: does not name a Python. Run nnfemur env DIR, see docs/baseline.md. 1>&2 & exit /b 1
rem -P: modules in the current folder are not imported.
"%NNFEMUR_PYTHON%" -P -m nnunet_femur.cli.totalsegmentator %*
exit /b %ERRORLEVEL%
