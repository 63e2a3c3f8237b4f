@echo off
rem Starts Trellis on Windows: sets up .venv in the clone, then the demo, or the service when a token is configured.
setlocal
cd /d "%~dp0.."
set "VENV_PYTHON=%CD%\.venv\Scripts\python.exe"

rem A .venv whose Python has gone, or that was only half made, is made anew.
if not exist "%VENV_PYTHON%" goto make
"%VENV_PYTHON%" -c "import pip" >nul 2>nul
if %ERRORLEVEL%==0 goto install
:make
echo Setting up .venv ... 1>&2
if exist .venv rmdir /s /q .venv
set "FOUND="
call :find py -3
if not defined FOUND call :find python
if not defined FOUND call :find python3
if not defined FOUND goto nopython
%FOUND% -m venv .venv
if %ERRORLEVEL%==0 goto install
set "CODE=%ERRORLEVEL%"
if exist .venv rmdir /s /q .venv
echo The virtual environment .venv could not be made, see above. 1>&2
goto failed
:nopython
set "CODE=1"
echo Trellis needs Python 3.11 or newer: install it from python.org and run this again. 1>&2
goto failed

:install
rem A copy of the installed lock file says whether there is anything to do.
fc /b requirements.lock .venv\installed.lock >nul 2>nul
if %ERRORLEVEL%==0 goto start
echo Installing the dependencies, a minute or two the first time ... 1>&2
if exist .venv\installed.lock del .venv\installed.lock
"%VENV_PYTHON%" -m pip install -qq --require-hashes --no-deps -r requirements.lock
set "CODE=%ERRORLEVEL%"
if %CODE%==0 goto installed
echo The dependencies could not be installed, see above. Check the network connection and run this again. 1>&2
goto failed
:installed
copy /y requirements.lock .venv\installed.lock >nul

:start
set "PYTHONUTF8=1"
set "WHAT=demo"
if defined TRELLIS_TELEGRAM_TOKEN set "WHAT="
"%VENV_PYTHON%" run.py %WHAT% %*
set "CODE=%ERRORLEVEL%"
if %CODE%==0 exit /b 0

:failed
rem A window that was opened by a double click would close before anybody has read why.
echo %CMDCMDLINE% | find /i "/c" >nul
if %ERRORLEVEL%==0 pause
exit /b %CODE%

:find
rem Sets FOUND to a Python that is new enough. The Store's placeholder python.exe fails here too.
%* -c "import sys; sys.exit(sys.version_info < (3, 11))" >nul 2>nul
if not %ERRORLEVEL%==0 exit /b 1
set "FOUND=%*"
exit /b 0
